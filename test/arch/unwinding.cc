// SPDX-License-Identifier: MIT
// A subject whose contexts are walked and unwound: backtraces, exceptions, parked frames.
#include <unwind.h>

#include ARCH_TEST_REGISTERS
#include "arch/arch.h"
#include "test/arch/subject.h"

namespace arch_test {
namespace {

using pirn::arch::call_as_if_at;
using pirn::arch::call_on;
using pirn::arch::context;
using pirn::arch::jump_to;
using pirn::arch::make_context;
using pirn::arch::resume_point_of;
using pirn::arch::switch_to;

// Keeps the call before it from being the last thing in its function, and so from being a jump.
ARCH_TEST_INLINE void not_a_tail_call() {
    asm volatile("" : : : "memory");
}

template <class F>
const void* address_of(F* f) {
    return reinterpret_cast<const void*>(f);
}

struct forcing;

// What a context of these tests works on, and the way back to the thread.
struct job {
    context thread, other;
    const stack* stacks;
    void (*collect)(trace*);
    trace* out;
    long count;
    long right;
    long* destroyed;
    last_words* words;
    forcing* force;
    parked park;
};

// Runs entry(&j) on the first stack until it comes back.
void run_in_context(job& j, void (*entry)(void*)) {
    make_context(&j.other, j.stacks[0].top, entry);
    switch_to(&j.thread, &j.other, &j);
}

// --- backtraces ---

ARCH_TEST_OPAQUE void leaf(job* j) {
    j->collect(j->out);
    not_a_tail_call();
}

ARCH_TEST_OPAQUE void middle(job* j) {
    leaf(j);
    not_a_tail_call();
}

ARCH_TEST_OPAQUE void entry_of_backtrace(void* word) {
    auto* j = static_cast<job*>(word);
    middle(j);
    jump_to(&j->thread, nullptr);
}

ARCH_TEST_OPAQUE void* called_for_backtrace(void* arg) {
    leaf(static_cast<job*>(arg));
    not_a_tail_call();
    return arg;
}

ARCH_TEST_OPAQUE void caller_of_call_on(job* j) {
    // By its own name: call_on is a frame more where nothing is inlined.
    pirn::arch::__pirn_call_on(j->stacks[1].top, called_for_backtrace, j);
    not_a_tail_call();
}

ARCH_TEST_OPAQUE void entry_of_call_on(void* word) {
    auto* j = static_cast<job*>(word);
    caller_of_call_on(j);
    jump_to(&j->thread, nullptr);
}

expected_frames backtrace(const stack* s, void (*collect)(trace*), trace* out) {
    job j{};
    j.stacks = s;
    j.collect = collect;
    j.out = out;
    run_in_context(j, entry_of_backtrace);
    return {{address_of(leaf), address_of(middle), address_of(entry_of_backtrace),
             address_of(__pirn_entry)},
            4};
}

expected_frames backtrace_call_on(const stack* s, void (*collect)(trace*), trace* out) {
    job j{};
    j.stacks = s;
    j.collect = collect;
    j.out = out;
    run_in_context(j, entry_of_call_on);
    return {
        {address_of(leaf), address_of(called_for_backtrace), address_of(pirn::arch::__pirn_call_on),
         address_of(caller_of_call_on), address_of(entry_of_call_on), address_of(__pirn_entry)},
        6};
}

ARCH_TEST_OPAQUE expected_frames backtrace_from_thread(const stack* s, void (*collect)(trace*),
                                                       trace* out) {
    job j{};
    j.stacks = s;
    j.collect = collect;
    j.out = out;
    caller_of_call_on(&j);
    return {
        {address_of(leaf), address_of(called_for_backtrace), address_of(pirn::arch::__pirn_call_on),
         address_of(caller_of_call_on), address_of(backtrace_from_thread)},
        5};
}

// --- exceptions ---

struct thrown {
    long value;
};

struct counts_its_end {
    long& count;
    ~counts_its_end() { ++count; }
};

ARCH_TEST_OPAQUE long thrower(long value, long* destroyed) {
    counts_its_end end{*destroyed};
    throw thrown{value};
}

// Catches an exception while `depth` others are being handled, and then the same one again.
ARCH_TEST_OPAQUE long nested_catches(long value, int depth, long* destroyed) {
    long right = 0;
    try {
        counts_its_end end{*destroyed};
        try {
            thrower(value + depth, destroyed);
        } catch (const thrown& t) {
            if (t.value == value + depth) ++right;
            if (depth > 0) right += nested_catches(value, depth - 1, destroyed);
            throw;
        }
    } catch (const thrown& t) {
        if (t.value == value + depth) ++right;
    }
    return right;
}

void entry_of_catches(void* word) {
    auto* j = static_cast<job*>(word);
    for (long i = 0; i < j->count; ++i) j->right += nested_catches(i, 2, j->destroyed);
    jump_to(&j->thread, nullptr);
}

long catches(const stack* s, long times, long* destroyed) {
    job j{};
    j.stacks = s;
    j.count = times;
    j.destroyed = destroyed;
    run_in_context(j, entry_of_catches);
    return j.right;
}

void* throws_on_other_stack(void* arg) {
    auto* j = static_cast<job*>(arg);
    counts_its_end end{*j->destroyed};
    thrower(j->count, j->destroyed);
    return nullptr;
}

ARCH_TEST_OPAQUE void calls_what_throws(job* j) {
    counts_its_end end{*j->destroyed};
    call_on(j->stacks[1].top, throws_on_other_stack, j);
    not_a_tail_call();
}

void entry_of_call_on_catches(void* word) {
    auto* j = static_cast<job*>(word);
    for (; j->count > 0; --j->count) {
        try {
            calls_what_throws(j);
        } catch (const thrown& t) {
            if (t.value == j->count) ++j->right;
        }
    }
    jump_to(&j->thread, nullptr);
}

long catches_through_call_on(const stack* s, long times, long* destroyed) {
    job j{};
    j.stacks = s;
    j.count = times;
    j.destroyed = destroyed;
    run_in_context(j, entry_of_call_on_catches);
    return j.right;
}

struct tells_its_end {
    last_words& words;
    ~tells_its_end() { ++words.destroyed; }
};

ARCH_TEST_OPAQUE long last_thrower(last_words* w) {
    tells_its_end end{*w};
    throw thrown{77};
}

ARCH_TEST_OPAQUE void last_caller(last_words* w) {
    tells_its_end end{*w};
    last_thrower(w);
    not_a_tail_call();
}

void entry_of_death(void* word) {
    auto* j = static_cast<job*>(word);
    last_caller(j->words);
    jump_to(&j->thread, nullptr);
}

void dies(const stack* s, last_words* w) {
    job j{};
    j.stacks = s;
    j.words = w;
    w->thrower = address_of(last_thrower);
    w->caller = address_of(last_caller);
    run_in_context(j, entry_of_death);
}

// --- a forced unwind ---

struct forcing {
    _Unwind_Exception exception;
    job* of;
    const void* last_frame;
};

// Runs on top of what is left of the context; goes back to the thread at its end.
_Unwind_Reason_Code stop(int, _Unwind_Action actions, _Unwind_Exception_Class, _Unwind_Exception*,
                         _Unwind_Context* frame, void* arg) {
    auto* f = static_cast<forcing*>(arg);
    if ((actions & _UA_END_OF_STACK) != 0) jump_to(&f->of->thread, nullptr);
    f->last_frame = reinterpret_cast<const void*>(_Unwind_GetRegionStart(frame));
    return _URC_NO_REASON;
}

ARCH_TEST_OPAQUE void forces(job* j) {
    tells_its_end end{*j->words};
    _Unwind_ForcedUnwind(&j->force->exception, stop, j->force);
    not_a_tail_call();
}

void entry_of_forced(void* word) {
    auto* j = static_cast<job*>(word);
    tells_its_end end{*j->words};
    forces(j);
    jump_to(&j->thread, nullptr);
}

const void* forced(const stack* s, last_words* w) {
    job j{};
    forcing f{};
    j.stacks = s;
    j.words = w;
    f.of = &j;
    j.force = &f;
    run_in_context(j, entry_of_forced);
    return f.last_frame == address_of(__pirn_entry) ? f.last_frame : nullptr;
}

// --- a parked stack ---

ARCH_TEST_OPAQUE void parks_here(job* j) {
    // Asking for the frame's address makes a function keep a frame pointer under all flags.
    const void* fp = __builtin_frame_address(0);
    switch_to(&j->other, &j->thread, nullptr);
    j->park.inside_pc = program_counter();
    j->park.inside_sp = stack_pointer();
    j->park.inside_fp = frame_register();
    if (j->park.inside_fp != fp) j->park.inside_fp = nullptr;
}

ARCH_TEST_OPAQUE void calls_what_parks(job* j) {
    parks_here(j);
    not_a_tail_call();
}

ARCH_TEST_OPAQUE void entry_of_parked(void* word) {
    auto* j = static_cast<job*>(word);
    calls_what_parks(j);
    jump_to(&j->thread, nullptr);
}

// Follows the chain of frame records, as a profiler does: both CPUs keep the caller's frame
// pointer at fp + 0 and the return address at fp + 8.
trace follow_frame_pointers(const void* pc, const void* fp) {
    trace t;
    t.function[t.depth++] = _Unwind_FindEnclosingFunction(const_cast<void*>(pc));
    while (fp != nullptr && t.depth < trace::k_room) {
        auto* record = static_cast<const void* const*>(fp);
        const char* back = static_cast<const char*>(plain_address(record[1]));
        t.function[t.depth++] = _Unwind_FindEnclosingFunction(const_cast<char*>(back - 1));
        fp = record[0];
    }
    return t;
}

ARCH_TEST_OPAQUE void* walks_the_parked(void* arg) {
    leaf(static_cast<job*>(arg));
    not_a_tail_call();
    return arg;
}

parked park(const stack* s, void (*collect)(trace*)) {
    job j{};
    j.stacks = s;
    j.collect = collect;
    j.out = &j.park.by_unwinder;
    run_in_context(j, entry_of_parked);
    const auto r = resume_point_of(j.other);
    j.park.function = address_of(parks_here);
    j.park.outside_pc = r.pc;
    j.park.outside_sp = r.sp;
    j.park.outside_fp = r.fp;
    j.park.after_the_wrapper = ends_a_switch(r.pc);
    if (ARCH_TEST_FRAME_POINTERS) j.park.by_frame_pointers = follow_frame_pointers(r.pc, r.fp);
    j.park.chain = {{address_of(parks_here), address_of(calls_what_parks),
                     address_of(entry_of_parked), address_of(__pirn_entry)},
                    4};
    j.park.unwound = {
        {address_of(leaf), address_of(walks_the_parked),
         address_of(pirn::arch::__pirn_call_as_if_at), address_of(parks_here),
         address_of(calls_what_parks), address_of(entry_of_parked), address_of(__pirn_entry)},
        7};
    if (call_as_if_at(&r, walks_the_parked, &j) != &j) j.park.unwound.depth = 0;
    switch_to(&j.thread, &j.other, nullptr);
    return j.park;
}

#define ARCH_TEST_TEXT_OF(x) #x
#define ARCH_TEST_TEXT(x) ARCH_TEST_TEXT_OF(x)

[[maybe_unused]] const bool enrolled = enroll(unwinding{
    ARCH_TEST_TEXT(ARCH_TEST_NAME), ARCH_TEST_FRAME_POINTERS, backtrace, backtrace_call_on,
    backtrace_from_thread, catches, catches_through_call_on, dies, forced, park});

}  // namespace
}  // namespace arch_test
