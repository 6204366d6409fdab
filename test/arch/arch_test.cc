// SPDX-License-Identifier: MIT
// The checks on every subject: what a switch must keep, and what unwinding over our stacks must do.
#include <execinfo.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <unwind.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

#include "arch/arch.h"
#include "test/arch/subject.h"

namespace arch_test {
namespace {

// Function-local, because subjects enroll before main in an order that nobody says.
std::vector<switching>& switching_subjects() {
    static std::vector<switching> all;
    return all;
}

std::vector<unwinding>& unwinding_subjects() {
    static std::vector<unwinding> all;
    return all;
}

// Three stacks of the same size, each above a page that may not be touched.
class stacks {
  public:
    explicit stacks(std::size_t size) : size_(size) {
        for (stack& s : all_) {
            void* memory = mmap(nullptr, k_guard + size, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            REQUIRE(memory != MAP_FAILED);
            REQUIRE(mprotect(memory, k_guard, PROT_NONE) == 0);
            s.base = static_cast<char*>(memory) + k_guard;
            s.top = static_cast<char*>(s.base) + size;
        }
    }
    stacks(const stacks&) = delete;
    stacks& operator=(const stacks&) = delete;
    ~stacks() {
        for (stack& s : all_) munmap(static_cast<char*>(s.base) - k_guard, k_guard + size_);
    }

    const stack* get() const { return all_.data(); }

  private:
    static constexpr std::size_t k_guard = 65536;  // a page of any size
    std::size_t size_;
    std::array<stack, 3> all_{};
};

constexpr std::size_t k_small = 16 << 10;
// For what goes through the dynamic linker on its first call.
constexpr std::size_t k_ample = 256 << 10;
constexpr long k_million = 1'000'000;

void check(const tally& t, long switches) {
    INFO(t.wrong << " wrong, the first is " << (t.first_wrong ? t.first_wrong : "none"));
    CHECK(t.wrong == 0);
    // Runs are made of whole rounds for every kind of value.
    CHECK(t.switches > switches - 100);
}

void push(trace& t, const void* ip, const void* sp) {
    if (t.depth == trace::k_room) {
        t.fits = false;
        return;
    }
    // A return address may lie behind its function's last instruction; one byte less does not.
    auto* inside = static_cast<char*>(const_cast<void*>(ip)) - 1;
    t.sp[t.depth] = sp;
    t.function[t.depth++] = ip ? _Unwind_FindEnclosingFunction(inside) : nullptr;
}

_Unwind_Reason_Code visit(_Unwind_Context* frame, void* arg) {
    push(*static_cast<trace*>(arg), reinterpret_cast<const void*>(_Unwind_GetIP(frame)),
         reinterpret_cast<const void*>(_Unwind_GetCFA(frame)));
    return _URC_NO_REASON;
}

void by_unwinder(trace* t) {
    t->end = _Unwind_Backtrace(visit, t);
    // The unwinder shows the end of the stack as a frame at address 0.
    if (t->depth > 0 && t->function[t->depth - 1] == nullptr) --t->depth;
}

void by_glibc(trace* t) {
    void* address[trace::k_room];
    const int n = ::backtrace(address, trace::k_room);
    for (int i = 0; i < n; ++i) push(*t, address[i], nullptr);
    t->fits = n < trace::k_room;
    t->end = _URC_END_OF_STACK;
}

int position_of(const void* function, const trace& t) {
    for (int i = 0; i < t.depth; ++i) {
        if (t.function[i] == function) return i;
    }
    return -1;
}

// The frames of `t` from the first expected one on start with the expected ones; returns how many
// frames follow them, or -1.
int frames_behind(const expected_frames& expected, const trace& t) {
    const int start = position_of(expected.function[0], t);
    if (start < 0 || start + expected.depth > t.depth) return -1;
    for (int i = 0; i < expected.depth; ++i) {
        if (t.function[start + i] != expected.function[i]) return -1;
    }
    return t.depth - start - expected.depth;
}

std::string text_of(const trace& t) {
    std::string text;
    for (int i = 0; i < t.depth; ++i) {
        char line[64];
        std::snprintf(line, sizeof line, "%p\n", t.function[i]);
        text += line;
    }
    return text;
}

void check_trace(const unwinding& u, int behind,
                 expected_frames (*unwinding::*take)(const stack*, void (*)(trace*), trace*)) {
    trace warm_up;
    by_glibc(&warm_up);  // loads the unwinder, which takes more stack than a context has
    const stacks s(k_ample);
    for (auto* collect : {by_unwinder, by_glibc}) {
        trace t;
        const expected_frames expected = (u.*take)(s.get(), collect, &t);
        INFO(u.name << (collect == by_glibc ? ", by glibc" : ", by the unwinder"));
        INFO(text_of(t));
        CHECK(t.fits);
        CHECK(t.end == _URC_END_OF_STACK);
        const int found = frames_behind(expected, t);
        if (behind >= 0) {
            CHECK(found == behind);
        } else {
            CHECK(found >= -behind);
        }
    }
}

// Runs f in a child and returns the status it exited with, or -1 if it was killed.
template <class F>
int status_of(F&& f) {
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        alarm(60);
        f();
        _exit(99);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// How a child ends; each is a thing that the hook or the terminate handler found.
enum : int { k_all_well = 41, k_terminated, k_wrong_object, k_unwound, k_frames_missing };

last_words dying;
int hook_calls = 0;

int what_the_hook_sees(_Unwind_Exception* exception) {
    trace t;
    by_unwinder(&t);
    const int at = position_of(dying.thrower, t);
    // The thrown object lies behind the unwinder's header.
    if (*reinterpret_cast<const long*>(exception + 1) != 77) return k_wrong_object;
    if (dying.destroyed != 0) return k_unwound;
    const bool whole = at >= 0 && t.depth == at + 4 && t.function[at + 1] == dying.caller &&
                       t.function[at + 3] == reinterpret_cast<const void*>(&__pirn_entry);
    return whole ? k_all_well : k_frames_missing;
}

void exit_hook(_Unwind_Exception* exception) {
    _exit(what_the_hook_sees(exception));
}
void counting_hook(_Unwind_Exception*) {
    ++hook_calls;
}

}  // namespace

bool enroll(const switching& s) {
    switching_subjects().push_back(s);
    return true;
}

bool enroll(const unwinding& u) {
    unwinding_subjects().push_back(u);
    return true;
}

// A subject whose object file was left out by the linker would be missed by nobody else.
TEST_CASE("every subject has enrolled") {
    const char* expected = std::getenv("ARCH_TEST_SUBJECTS");
    CHECK(unwinding_subjects().size() == (expected ? std::strtoul(expected, nullptr, 10) : 5));
    CHECK(switching_subjects().size() >= unwinding_subjects().size());
}

TEST_CASE("a million switches between two contexts keep every value") {
    const stacks s(k_small);
    for (const switching& subject : switching_subjects()) {
        INFO(subject.name);
        check(subject.two_contexts(s.get(), k_million), k_million);
    }
}

TEST_CASE("a million switches round three contexts keep every value") {
    const stacks s(k_small);
    for (const switching& subject : switching_subjects()) {
        INFO(subject.name);
        check(subject.three_contexts(s.get(), k_million), k_million);
    }
}

TEST_CASE("switches keep the kinds of values that only this CPU has") {
    const stacks s(k_small);
    for (const switching& subject : switching_subjects()) {
        INFO(subject.name);
        check(subject.cpu_kinds(s.get(), k_million / 10), k_million / 10);
    }
}

TEST_CASE("a function that switches keeps every callee-saved register") {
    const stacks s(k_small);
    for (const switching& subject : switching_subjects()) {
        INFO(subject.name);
        check(subject.callee_saved(s.get(), k_million), k_million);
    }
}

TEST_CASE("over-aligned locals, alloca and the red zone survive a switch") {
    const stacks s(k_small);
    for (const switching& subject : switching_subjects()) {
        INFO(subject.name);
        check(subject.odd_frames(s.get(), k_million / 10), k_million / 10);
    }
}

TEST_CASE("the word is handed over in both directions") {
    const stacks s(k_small);
    const auto number = [](void* word) { return reinterpret_cast<std::uintptr_t>(word); };
    for (const switching& subject : switching_subjects()) {
        INFO(subject.name);
        const words w = subject.hand_over(s.get());
        CHECK(number(w.at_first_entry) == 7);
        for (unsigned i = 0; i < 3; ++i) {
            CHECK(number(w.inside[i]) == 8 + i);
            CHECK(number(w.outside[i]) == 100 + i);
        }
    }
}

TEST_CASE("a stack that was left by jump_to can be started again") {
    const stacks s(k_small);
    for (const switching& subject : switching_subjects()) {
        INFO(subject.name);
        CHECK(subject.jumps(s.get(), 10'000) == 10'000);
    }
}

TEST_CASE("call_on runs a function on the given stack, as the ABI aligns it") {
    const stacks s(k_small);
    const stack* all = s.get();
    for (const switching& subject : switching_subjects()) {
        INFO(subject.name);
        const call c = subject.call_on(all);
        CHECK(c.argument != nullptr);
        CHECK(c.result != nullptr);
        CHECK(c.some_local >= all[0].base);
        CHECK(c.some_local < all[0].top);
        CHECK(c.sp_at_call == all[1].top);
        CHECK(c.sp_of_first_entry > all[2].base);
        CHECK(c.sp_of_first_entry <= all[2].top);
        CHECK(reinterpret_cast<std::uintptr_t>(c.sp_at_call) % 16 == 0);
        CHECK(reinterpret_cast<std::uintptr_t>(c.sp_of_first_entry) % 16 == 0);
    }
}

TEST_CASE("a backtrace ends at the first frame") {
    for (const unwinding& u : unwinding_subjects()) check_trace(u, 0, &unwinding::backtrace);
}

TEST_CASE("a backtrace walks from call_on's stack to the caller's") {
    for (const unwinding& u : unwinding_subjects()) {
        check_trace(u, 0, &unwinding::backtrace_call_on);
        // On the thread's own stack main and what calls it come after.
        check_trace(u, -4, &unwinding::backtrace_from_thread);
    }
}

TEST_CASE("exceptions are thrown and caught inside a context") {
    const stacks s(k_small);
    for (const unwinding& u : unwinding_subjects()) {
        INFO(u.name);
        long destroyed = 0;
        // Three nested handlers that each catch, throw again and catch again.
        CHECK(u.catches(s.get(), 1000, &destroyed) == 6000);
        CHECK(destroyed == 6000);
    }
}

TEST_CASE("an exception leaves call_on's stack for a handler on the caller's") {
    const stacks s(k_small);
    for (const unwinding& u : unwinding_subjects()) {
        INFO(u.name);
        long destroyed = 0;
        CHECK(u.catches_through_call_on(s.get(), 1000, &destroyed) == 1000);
        CHECK(destroyed == 3000);
    }
}

TEST_CASE("an uncaught exception is shown to the hook on top of intact frames") {
    const stacks s(k_ample);
    for (const unwinding& u : unwinding_subjects()) {
        INFO(u.name);
        CHECK(status_of([&] {
                  pirn::arch::set_uncaught_hook(exit_hook);
                  std::set_terminate([] { _exit(k_terminated); });
                  u.dies(s.get(), &dying);
              }) == k_all_well);
    }
}

TEST_CASE("an uncaught exception ends in terminate where the hook returns or is missing") {
    const stacks s(k_ample);
    for (const unwinding& u : unwinding_subjects()) {
        INFO(u.name);
        for (auto* hook : {static_cast<pirn::arch::uncaught_hook>(counting_hook),
                           static_cast<pirn::arch::uncaught_hook>(nullptr)}) {
            CHECK(status_of([&] {
                      pirn::arch::set_uncaught_hook(hook);
                      std::set_terminate([] { _exit(k_terminated + 10 * hook_calls); });
                      u.dies(s.get(), &dying);
                  }) == k_terminated + (hook ? 10 : 0));
        }
    }
}

TEST_CASE("a forced unwind runs the destructors of a context and ends at its first frame") {
    const stacks s(k_ample);
    pirn::arch::set_uncaught_hook([](_Unwind_Exception*) { std::abort(); });
    for (const unwinding& u : unwinding_subjects()) {
        INFO(u.name);
        last_words w;
        CHECK(u.forced(s.get(), &w) == reinterpret_cast<const void*>(&__pirn_entry));
        CHECK(w.destroyed == 2);
    }
    pirn::arch::set_uncaught_hook(nullptr);
}

TEST_CASE("resume_point_of tells the registers of a parked stack") {
    const stacks s(k_ample);
    for (const unwinding& u : unwinding_subjects()) {
        INFO(u.name);
        const parked p = u.park(s.get(), by_unwinder);
        CHECK(p.outside_sp == p.inside_sp);
        CHECK(p.outside_fp == p.inside_fp);
        CHECK(p.inside_fp != nullptr);
        CHECK(p.after_the_wrapper);
        CHECK(p.outside_pc <= p.inside_pc);
        CHECK(static_cast<const char*>(p.inside_pc) - static_cast<const char*>(p.outside_pc) < 64);
        CHECK(_Unwind_FindEnclosingFunction(const_cast<void*>(p.outside_pc)) == p.function);
        INFO(text_of(p.by_unwinder));
        CHECK(p.by_unwinder.end == _URC_END_OF_STACK);
        CHECK(p.unwound.depth > 0);
        CHECK(frames_behind(p.unwound, p.by_unwinder) == 0);
        const int at = position_of(p.function, p.by_unwinder);
        CHECK(at >= 0);
        CHECK((at >= 0 ? p.by_unwinder.sp[at] : nullptr) == p.inside_sp);
        if (u.frame_pointers) {
            INFO(text_of(p.by_frame_pointers));
            CHECK(frames_behind(p.chain, p.by_frame_pointers) == 0);
            CHECK(p.by_frame_pointers.depth == p.chain.depth);
        }
    }
}

}  // namespace arch_test
