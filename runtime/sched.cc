// SPDX-License-Identifier: MIT
// The scheduler: which goroutine runs next on a P, and the switch to it.
//
// Concept. A G is a goroutine, an M an OS thread, a P the right to run goroutines; there are
// maxprocs Ps, and an M needs one to run a G. Each P has a queue of its own, so that scheduling
// takes no lock; what does not fit goes to a global queue, and a P without work steals.
//
// The switch. A goroutine that parks, yields or ends picks the next one from its own P and
// switches to it directly, stack to stack. Only when there is none, or when a look around is due
// (every k_check_interval decisions: global queue, timers, network), does it switch to the M's own
// stack, g0, where the scheduling loop does the slow things. What must not happen while the old
// goroutine is still on its stack (making it visible to wakers or thieves, reusing its stack) is
// left to the one that comes in: m::after says what.
//
// A goroutine that has not run yet is a spawn record without a stack. One that ends and finds such
// a record next in line runs it on its own stack at once, without any switch.
//
// Rejected: one global queue (every decision takes its lock); a scheduler context for every switch
// (two switches instead of one); switching from the ending goroutine by the one that starts (the
// stack would have to change hands twice).
//
// The protocol by which idle Ms sleep and are woken is in idle.cc.
#include "runtime/sched.h"

#include <cerrno>
#include <cstring>

#include <sched.h>
#include <unwind.h>

#include "runtime/base/alloc.h"
#include "runtime/base/check.h"
#include "runtime/dump.h"
#include "runtime/fork.h"
#include "runtime/locals.h"
#include "runtime/netpoll.h"
#include "runtime/os_locks.h"
#include "runtime/scan.h"
#include "runtime/self.h"
#include "runtime/signal.h"
#include "runtime/stackstat.h"
#include "runtime/status.h"

namespace pirn::rt {
namespace {

constexpr std::uint64_t k_id_batch = 16;

[[gnu::always_inline]] inline void save_thread_state(m* mp, thread_state& to) {
    eh_globals_image* eh = mp->eh_globals;
    if (eh->caught != nullptr || eh->uncaught != 0) [[unlikely]] {
        to.has_exceptions = true;
        to.caught_exceptions = eh->caught;
        to.uncaught_exceptions = eh->uncaught;
        // The thread is left without any, so that a load need only bring what there is.
        eh->caught = nullptr;
        eh->uncaught = 0;
    }
    to.saved_errno = *mp->errno_address;
}
[[gnu::always_inline]] inline void load_thread_state(m* mp, thread_state& from) {
    if (from.has_exceptions) [[unlikely]] {
        from.has_exceptions = false;
        mp->eh_globals->caught = from.caught_exceptions;
        mp->eh_globals->uncaught = from.uncaught_exceptions;
    }
    *mp->errno_address = from.saved_errno;
}

// A goroutine that ends takes no exceptions along: the next one on the thread starts without.
[[gnu::always_inline]] inline void forget_exceptions(m* mp) {
    mp->eh_globals->caught = nullptr;
    mp->eh_globals->uncaught = 0;
}

// The next goroutine on this P; null when its M has to go to the scheduling loop.
[[gnu::always_inline]] inline qnode* pick_next(p* pp) {
    // Relaxed: a request is seen at one of the next decisions.
    if (--pp->until_check == 0 || pp->attention.load(std::memory_order_relaxed)) [[unlikely]] {
        if (pp->owner->abandoned) report_no_runtime();
        pp->check_due = true;
        return nullptr;
    }
    qnode* n = pp->queue.take_next(pp->alone);
    return n != nullptr ? n : pp->queue.pop(pp->alone);
}

// Makes gp the goroutine that the record describes.
void adopt(p* pp, g* gp, spawn_record* r) {
    if (pp->next_id == pp->end_id) [[unlikely]] {
        // Relaxed: ids need only differ.
        pp->next_id = pp->owner->ids.fetch_add(k_id_batch, std::memory_order_relaxed) + 1;
        pp->end_id = pp->next_id + k_id_batch;
    }
    gp->id = pp->next_id++;
    gp->entry = reinterpret_cast<const void*>(r->invoke);
    gp->created_at = r->created_at;
    gp->created_by = r->created_by;
    gp->os_locks = 0;
    gp->os_bindings = 0;
    gp->not_preempted = 0;
    gp->name = r->name;
    gp->name_bytes = r->name_bytes;
}

// The class of the block that a record starts on: a small one if its code can grow from there.
[[gnu::always_inline]] inline std::uint32_t class_of(const spawn_record* r) {
    constexpr std::size_t k_small_enough = stack::k_small_bytes / 2;
    if (r->stack_bytes <= k_small_enough &&
        arch::went_through_pass(reinterpret_cast<const void*>(r->invoke))) [[likely]]
        return 0;
    return stack::large_class(r->stack_bytes);
}

// A stack for a record, ready to be switched to.
g* start_goroutine(p* pp, spawn_record* r) {
    g* gp = static_cast<g*>(pp->stacks.get(class_of(r)));
    gp->limit = gp->own_limit();
    if (stackstat_on) [[unlikely]]
        stackstat_begin(gp);
#ifdef PIRN_CHECKS
    stack::set_canary(gp);
#endif
    adopt(pp, gp, r);
    begin_running(gp);
    gp->ending = false;
    gp->is_main = false;
    arch::make_context(&gp->ctx, gp->hi(), &goroutine_entry);
    base::san_create(gp->san, gp->lo, static_cast<std::size_t>(gp->hi() - gp->lo));
    return gp;
}

// Where a switch goes and what it hands over. The thread's state is the next one's from here on.
struct target {
    arch::context* to;
    void* word;
    base::san_fiber* san;
    g* next;                 // null: g0
    std::uintptr_t limit;
};

[[gnu::always_inline]] inline target aim_at_g0(m* mp) {
    load_thread_state(mp, mp->g0_carried);
    return {&mp->g0, mp, &mp->san, nullptr, 0};
}

[[gnu::always_inline]] inline target aim(m* mp, qnode* n) {
    if (n == nullptr) return aim_at_g0(mp);
    p* pp = mp->cpu;
    if (is_bound(n) && to_g(n)->bound != mp) [[unlikely]] {
        pp->first = n;  // its M is given this P, by g0
        return aim_at_g0(mp);
    }
    pp->switches.add();
    if (n->kind == qnode::k_record) {
        spawn_record* r = to_record(n);
        g* gp = start_goroutine(pp, r);
        *mp->errno_address = 0;
        return {&gp->ctx, r, &gp->san, gp, gp->limit};
    }
    g* gp = to_g(n);
    resume_running(gp);
    wait_for_scan(gp);
    load_thread_state(mp, gp->carried);
    return {&gp->ctx, mp, &gp->san, gp, gp->limit};
}

// From here to the switch no call is made that checks the stack: the limit word belongs to the next
// stack already.
[[gnu::always_inline]] inline void set_running(m* mp, const target& t) {
    mp->running = t.next;
    arch::set_limit(t.limit);
}

// After a yield: to the back of its P's queue, or, when others wait in the global queue, behind
// them, since a P looks there only when its own is empty.
[[gnu::always_inline]] inline void requeue(p* pp, g* gp) {
    if (!pp->owner->global.any()) [[likely]] {
        queue_back(pp, gp);
        return;
    }
    base::fifo<qnode> list;
    list.push_back(gp);
    queue_global(pp->owner, std::move(list));
}

// Does what the goroutine left behind has asked for. First thing on the stack that comes in.
[[gnu::always_inline]] inline void run_after(m* mp) {
    const after_switch what = mp->after;
    if (what == after_switch::nothing) return;
    switch (what) {
        case after_switch::nothing: break;
        case after_switch::park:
            become_waiting(mp->after_g);
            if (mp->unlock != nullptr) mp->unlock(mp->unlock_arg);
            break;
        case after_switch::requeue:
            become_runnable_again(mp->after_g);
            requeue(mp->cpu, mp->after_g);
            break;
        case after_switch::release: {
            g* gp = mp->after_g;
            gp->kind = qnode::k_goroutine;
            gp->bound = nullptr;
            base::san_destroy(gp->san);
            become_idle(gp);
            // It may have left from a segment, which it never came back from.
            while (gp->hops != nullptr) arch::leave_hop(*gp, *mp);
            if (stackstat_on) [[unlikely]] {
                // On the stack of the one that comes in, if any, which has no part in it.
                g* in = mp->cur();
                const std::size_t before = in != nullptr ? in->high_water : 0;
                stackstat_end(gp);
                if (in != nullptr) in->high_water = before;
            }
#ifdef PIRN_PERTURB
            std::memset(gp->lo, 0xdd, static_cast<std::size_t>(gp->hi() - gp->lo));
#endif
            mp->cpu->stacks.put(gp);
            break;
        }
    }
    // Only now: until then nobody takes the P away (preempt.cc).
    mp->after = after_switch::nothing;
}

#ifdef PIRN_CHECKS
[[noreturn, gnu::noinline]] void report_overrun(const g* gp) {
    char entry[256];
    describe_entry(gp, entry, sizeof entry);
    base::fatalf("stack overflow: goroutine %lu, entry function %s, has written below its block: a "
                 "function took more stack than the pass or its table of needs says",
                 static_cast<unsigned long>(gp->id), entry);
}
#endif

// Parks the running goroutine and goes on with n (null: g0). Returns when it is resumed, perhaps
// on another M: nothing read from mp before is valid after.
[[gnu::always_inline]] inline void switch_away(m* mp, g* gp, qnode* n) {
#ifdef PIRN_CHECKS
    if (!stack::canary_stands(gp)) report_overrun(gp);
#endif
    save_thread_state(mp, gp->carried);
    const target t = aim(mp, n);
    base::san_switch_begin(gp->san, *t.san, false);
    set_running(mp, t);
    m* now = static_cast<m*>(arch::switch_to(&gp->ctx, t.to, t.word));
    base::san_switch_end(gp->san, &now->san);
    run_after(now);
}

// Leaves the stack of the goroutine that ended, for good.
[[noreturn]] void leave(m* mp, g* gp, qnode* n) {
    become_dead(gp);
    forget_exceptions(mp);
    mp->after = after_switch::release;
    mp->after_g = gp;
    const target t = aim(mp, n);
    base::san_switch_begin(gp->san, *t.san, true);
    set_running(mp, t);
    arch::jump_to(t.to, t.word);
}

// The goroutine ends, and its thread with it.
[[noreturn]] void end_bound(m* mp, g* gp) {
    mp->bound_ended = true;
    gp->thread_locks = 0;
    leave(mp, gp, nullptr);
}

// The running goroutine's closure has returned. The record to run next on the same stack, if the
// next in line is one that fits; else does not return.
spawn_record* finish() {
    m* mp = self();
    if (mp->cur()->locals != nullptr) [[unlikely]] {
        end_locals();
        mp = self();
    }
    g* gp = mp->cur();
    p* pp = mp->cpu;
    pp->finished.add();
    if (is_bound(gp)) [[unlikely]]
        end_bound(mp, gp);
    qnode* n = pick_next(pp);
    if (n != nullptr && n->kind == qnode::k_record && gp->size_class == class_of(to_record(n)) &&
        !stackstat_on) {
        pp->switches.add();
        forget_exceptions(mp);
        adopt(pp, gp, to_record(n));
        return to_record(n);
    }
    leave(mp, gp, n);
}

}  // namespace

void goroutine_entry(void* word) {
    // It is entered on an empty stack, and what it calls by pointer is known to fit: small blocks
    // are for closures that check for themselves.
    PIRN_PLAIN();
    m* mp = self();
    base::san_switch_end(mp->cur()->san, &mp->san);
    run_after(mp);
    auto* r = static_cast<spawn_record*>(word);
    for (;;) {
        r->invoke(r);
        r = finish();
    }
}

void goroutine_end() {
    if (self()->cur()->locals != nullptr) end_locals();
    m* mp = self();
    mp->cpu->finished.add();
    if (is_bound(mp->cur())) end_bound(mp, mp->cur());
    qnode* n = pick_next(mp->cpu);
    leave(mp, mp->cur(), n);
}

void run_from_g0(m* mp, qnode* n) {
    save_thread_state(mp, mp->g0_carried);
    const target t = aim(mp, n);
    base::san_switch_begin(mp->san, *t.san, false);
    set_running(mp, t);
    arch::switch_to(&mp->g0, t.to, t.word);
    base::san_switch_end(mp->san, nullptr);
    run_after(mp);
#ifdef PIRN_CHECKS
    if (mp->holder_to_report != nullptr)
        report_lock_holder(std::exchange(mp->holder_to_report, nullptr));
#endif
}

void schedule_loop(m* mp) {
    while (qnode* n = find_runnable(mp)) run_from_g0(mp, n);
}

void abandon(m* mp) {
    load_thread_state(mp, mp->g0_carried);
    mp->after = after_switch::nothing;
    base::san_switch_begin(mp->cur()->san, mp->san, false);
    mp->running = nullptr;
    arch::set_limit(0);
    arch::jump_to(&mp->g0, mp);
}

namespace {


// The ring is full: half of it goes to the global queue, with n. Apart, as it takes much stack.
[[gnu::noinline]] void queue_overflow(p* pp, qnode* n) {
    qnode* half[k_ring / 2];
    const std::uint32_t taken = pp->queue.take_half(half);
    if (taken == 0) {
        queue_back(pp, n);  // thieves made room
        return;
    }
    for (std::uint32_t i = taken - 1; i > 0; --i) {
        const std::uint32_t j = pp->runner->random.below(i + 1);
        qnode* t = half[i];
        half[i] = half[j];
        half[j] = t;
    }
    base::fifo<qnode> list;
    for (std::uint32_t i = 0; i < taken; ++i) list.push_back(half[i]);
    list.push_back(n);
    queue_global(pp->owner, std::move(list));
}

}  // namespace

void queue_back(p* pp, qnode* n) {
    if (!pp->queue.push(n)) [[unlikely]]
        queue_overflow(pp, n);
}

void queue_next(p* pp, qnode* n) {
    if (qnode* old = pp->queue.swap_next(n, pp->alone)) queue_back(pp, old);
}

void queue_global(sched* s, base::fifo<qnode>&& list) {
    lock_guard hold(s->mu);
    s->global.append(std::move(list));
}

// park.h

// A handler runs without a limit, as g0 does.
[[gnu::always_inline]] static inline void refuse_if_in_handler(const m* mp, const char* what) {
#ifdef PIRN_SPLIT
    if (arch::limit() == 0) [[unlikely]]
        refuse_in_handler(mp, what);
#else
    (void)mp, (void)what;
#endif
}

parker::parker() : gp_(nullptr) {
    // Without a P (in a blocking region) the thread is like a foreign one.
    if (m* mp = self(); mp != nullptr && mp->cpu != nullptr) gp_ = mp->cur();
}

void parker::park(void (*unlock)(void*), void* arg, wait_reason reason, waiter* waiting) {
    if (gp_ == nullptr) {
        if (unlock != nullptr) unlock(arg);
        note_.sleep(base::k_never_ns);
        return;
    }
    m* mp = self();
    g* gp = gp_;
    PIRN_ASSERT(mp->cur() == gp);
    refuse_if_in_handler(mp, "a goroutine was to wait");
    bool to_g0 = false;
#ifdef PIRN_CHECKS
    if (gp->os_locks != 0) mp->holder_to_report = note_lock_holder(gp, reason);
    to_g0 = mp->holder_to_report != nullptr;
#endif
    gp->reason = reason;
    gp->waiting = waiting;
    // Relaxed: a clock that is only shown.
    gp->waiting_since_ns = mp->owner->coarse_ns.load(std::memory_order_relaxed);
    mp->cpu->parks.add();
    mp->after = after_switch::park;
    mp->after_g = gp;
    mp->unlock = unlock;
    mp->unlock_arg = arg;
    switch_away(mp, gp, to_g0 ? nullptr : pick_next(mp->cpu));
    gp->waiting = nullptr;
}

void park_forever(wait_reason reason) {
    for (;;) {
        parker self;
        self.park(nullptr, nullptr, reason);
    }
}

namespace {

// A coroutine goes on where the user's executor says, which is called on a goroutine or a thread:
// the scheduler itself (a timer's turn) has neither the stack nor the time for it.
void ready_coroutine(coroutine* c) {
    const m* mp = self();
    if (mp == nullptr || mp->cur() != nullptr) {
        c->post(c);
    } else {
        go([c] { c->post(c); });
    }
}

}  // namespace

void ready(who w) {
    if (!w.is_goroutine()) [[unlikely]] {
        if (w.is_thread())
            w.thread()->wake();
        else
            ready_coroutine(w.coroutine());
        return;
    }
    m* mp = self();
    if (mp != nullptr && mp->cpu != nullptr) [[likely]] {
        make_runnable(w.goroutine());
        // What a goroutine wakes runs right after it, while its data is in the cache; what the
        // scheduler itself wakes (timers) keeps its order.
        if (mp->cur() != nullptr)
            queue_next(mp->cpu, w.goroutine());
        else
            queue_back(mp->cpu, w.goroutine());
        wake_for_work(mp->cpu);
        return;
    }
    sched_ref run;
    if (!run) return;  // the goroutine went with its run
    make_runnable(w.goroutine());
    base::fifo<qnode> list;
    list.push_back(w.goroutine());
    queue_global(run.get(), std::move(list));
    wake_from_outside(run.get());
}

}  // namespace pirn::rt

namespace pirn {

using namespace rt;

void yield() {
    m* mp = self();
    if (mp == nullptr || mp->cur() == nullptr || mp->cpu == nullptr) {
        ::sched_yield();
        return;
    }
    p* pp = mp->cpu;
    g* gp = mp->cur();
    qnode* n = nullptr;
    // A look around that is due would find nothing: it is put off without a trip to g0.
    if (pp->until_check == 1 && pp->alone && mp != pp->owner->host.get() && io_waiters() == 0 &&
        !any_for_all(pp->owner) &&
        pp->timers.first_ns.load(std::memory_order_relaxed) == base::k_never_ns)
        pp->until_check = k_check_interval;
    if (pp->until_check > 1 && !pp->attention.load(std::memory_order_relaxed) &&
        !pp->owner->global.any()) [[likely]] {
        --pp->until_check;
        n = pp->queue.take_next(pp->alone);
        if (n == nullptr && pp->alone) {
            // Nobody can take it from the queue before it is off its stack.
            become_runnable_again(gp);
            n = pp->queue.rotate(gp);
            if (n != nullptr) {
                switch_away(mp, gp, n);
                return;
            }
            resume_running(gp);
            return;
        }
        if (n == nullptr) n = pp->queue.pop(pp->alone);
        // Nobody to give way to: stay, until a look around is due.
        if (n == nullptr) return;
    } else {
        n = pick_next(pp);
    }
    mp->after = after_switch::requeue;
    mp->after_g = gp;
    switch_away(mp, gp, n);
}

void checkpoint() {
    m* mp = self();
    if (mp != nullptr && mp->cur() != nullptr && mp->cpu != nullptr &&
        mp->cpu->attention.load(std::memory_order_relaxed)) [[unlikely]]
        yield();
}

namespace detail {

void call_large(void (*fn)(void*), void* arg) { arch::__pirn_call_large(fn, arg); }

spawn_record* new_record(std::size_t bytes, std::size_t align) {
    constexpr std::size_t k_align = 16;
    static_assert(sizeof(spawn_record) == 64, "two cache lines with the closure");
    m* mp = self();
    if (mp == nullptr && !sched_ref()) throw panic("go outside any runtime: call pirn::run first");
    if (mp != nullptr) refuse_if_in_handler(mp, "pirn::go");
    if (bytes <= spawn_record::k_inline_bytes && align <= k_align) [[likely]] {
        const bool has_p = mp != nullptr && mp->cpu != nullptr;
        auto* r = ::new (has_p ? mp->cpu->records.get() : take_record()) spawn_record;
        r->closure = r + 1;
        r->pooled = true;
        r->kind = qnode::k_record;
        return r;
    }
    if (mp != nullptr && mp->owner->abandoned) throw panic(k_no_go_in_child);
    const std::size_t at = (sizeof(spawn_record) + align - 1) / align * align;
    void* memory = base::allocate(at + bytes, align < k_align ? k_align : align);
    auto* r = ::new (memory) spawn_record;
    r->closure = static_cast<char*>(memory) + at;
    r->kind = qnode::k_record;
    return r;
}

void free_record(spawn_record* r) noexcept {
    if (!r->pooled) [[unlikely]] {
        base::deallocate(r);
        return;
    }
    m* mp = self();
    if (mp != nullptr && mp->cpu != nullptr) [[likely]]
        mp->cpu->records.put(r);
    else
        give_record(r);
}

void spawn(spawn_record* r) noexcept {
    m* mp = self();
    if (mp != nullptr && mp->cpu != nullptr) [[likely]] {
        p* pp = mp->cpu;
        r->created_by = mp->cur() != nullptr ? mp->cur()->id : 0;
        pp->spawned.add();
        // As in ready: what timers start keeps its order.
        if (mp->cur() != nullptr) [[likely]]
            queue_next(pp, r);
        else
            queue_back(pp, r);
        wake_for_work(pp);
        return;
    }
    sched_ref run;
    if (!run) return;  // it ended since new_record: the goroutine is dropped with it
    run.get()->foreign_spawned.fetch_add(1, std::memory_order_relaxed);
    base::fifo<qnode> list;
    list.push_back(r);
    queue_global(run.get(), std::move(list));
    wake_from_outside(run.get());
}

}  // namespace detail

std::size_t num_goroutine() {
    sched_ref run;
    sched* s = run.get();
    if (s == nullptr) return 0;
    std::uint64_t finished = 0, spawned = s->foreign_spawned.load(std::memory_order_relaxed);
    // Ends first: one that begins and ends meanwhile is then not counted as an end alone.
    for (auto& slot : s->ps) {
        // ORD(ps): acquire; pairs with the release in make_p.
        p* pp = slot.load(std::memory_order_acquire);
        if (pp == nullptr) break;
        finished += pp->finished.get();
    }
    for (auto& slot : s->ps) {
        // ORD(ps): acquire; pairs with the release in make_p.
        p* pp = slot.load(std::memory_order_acquire);
        if (pp == nullptr) break;
        spawned += pp->spawned.get();
    }
    return static_cast<std::size_t>(spawned - finished);
}

}  // namespace pirn
