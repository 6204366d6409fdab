// SPDX-License-Identifier: MIT
// The start and the end of a run.
//
// Start (run_main; start, which has no m0 and no main goroutine: every P is idle at first):
//  1. the run's object, with its Ps; the layout of stacks
//  2. handlers for faults and uncaught exceptions
//  3. the calling thread becomes m0, takes P 0, and the main goroutine is queued
//  4. sysmon starts, and m0 enters the scheduling loop
// End, when the main function has returned (end_run, on whichever M ran it), or by stop, whose
// thread is then in m0's place:
//  5. `stopping` is set; every M comes to its loop at its goroutine's next park or yield and leaves
//  6. m0 leaves its loop too; nobody new gets a hold of the run from outside, and those who have
//     one (foreign threads, which may be starting an M) are waited for
//  7. sysmon ends; m0 joins the other Ms, until there are no more; one that stays away for more
//     than 10 ms is left behind, and with it all it may touch: Ps, the run's object; from then on
//     no stack is unmapped at the end of a run
//  8. timers are forgotten, parked goroutines are taken off the queues they wait on
//  9. stacks are unmapped, Ps and Ms freed, handlers restored
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <string>

#include <cxxabi.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <pirn/runtime.h>

#include "runtime/base/alloc.h"
#include "runtime/base/check.h"
#include "runtime/base/clock.h"
#include "runtime/base/seen_keys.h"
#include "runtime/cpus.h"
#include "runtime/dump.h"
#include "runtime/fork.h"
#include "runtime/gate.h"
#include "runtime/growth.h"
#include "runtime/locals.h"
#include "runtime/netpoll.h"
#include "runtime/owners.h"
#include "runtime/sched.h"
#include "runtime/self.h"
#include "runtime/signal.h"
#include "runtime/stackstat.h"
#include "runtime/status.h"
#include "runtime/symbol.h"
#include "runtime/unwind.h"
#include "runtime/waiter.h"
#include "runtime/where.h"
#include "stack/segment.h"

namespace pirn::rt {
namespace {

// Whether there is a run, from its start until nothing of it is left: one at a time.
base::atomic<bool> occupied{false};
// What start began, until stop.
base::atomic<sched*> started{nullptr};
// The run that can be had, and how many threads hold on to it.
base::atomic<sched*> current{nullptr};
base::atomic<std::uint32_t> holders{0};
// How many have begun.
base::atomic<std::uint64_t> runs{0};

[[noreturn]] void report_too_many(int max_threads) {
    base::report("runtime: program exceeds %d-thread limit\n", max_threads);
    base::fatal("thread exhaustion");
}

constexpr std::int64_t k_straggler_ns = 10'000'000;
constexpr std::size_t k_main_stack_bytes = 8u << 20;  // as a thread's: it is the program's main

}  // namespace

m* make_m(sched* s) {
    m* mp = base::make<m>();
    mp->owner = s;
    mp->random = base::rand(reinterpret_cast<std::uintptr_t>(mp) ^
                            static_cast<std::uint64_t>(base::now_ns()));
    s->mu.acquire();
    const int most = s->opts.max_threads;
    const bool fits = s->m_count < most;
    if (fits) {
        mp->id = s->next_m_id++;
        mp->next_all = s->all_ms;
        s->all_ms = mp;
        ++s->m_count;
    }
    s->mu.release();
    if (!fits) report_too_many(most);
    return mp;
}

namespace {

// The lowest byte of the calling thread's stack, above its guard.
const std::byte* lowest_of_own_stack() {
    pthread_attr_t attributes;
    if (::pthread_getattr_np(::pthread_self(), &attributes) != 0) return nullptr;
    void* lowest = nullptr;
    std::size_t bytes = 0;
    ::pthread_attr_getstack(&attributes, &lowest, &bytes);
    ::pthread_attr_destroy(&attributes);
    return static_cast<const std::byte*>(lowest);
}

}  // namespace

void adopt_thread(m* mp) {
    look_at_thread();
    base::san_adopt_thread(mp->san);
    // A host's thread comes again and again.
    if (mp->tid == 0) {
        lock_guard hold(mp->owner->mu);
        mp->tid = static_cast<int>(::gettid());
        mp->eh_globals = reinterpret_cast<eh_globals_image*>(abi::__cxa_get_globals());
        mp->errno_address = &errno;
        mp->stack_lo = lowest_of_own_stack();
    }
    mp->limit_word = arch::limit_address();
    open_signal_stack(mp);
    admit_preemption();
    set_self(mp);
}

void leave_thread(m* mp) {
    mp->limit_word = nullptr;
    set_self(nullptr);
    close_signal_stack(mp);
}

void forget_thread(m* mp) {
    stack::trim_segments(*mp, 0);
    free_signal_stack(mp);
}

namespace {

void* m_main(void* arg) {
    m* mp = static_cast<m*>(arg);
    adopt_thread(mp);
    char name[16];
    std::snprintf(name, sizeof name, "pirn-m%d", mp->id);
    ::pthread_setname_np(::pthread_self(), name);
    if (p* pp = mp->handed) {
        mp->handed = nullptr;
        mp->cpu = pp;
        pp->runner = mp;
        mp->spinning = mp->handed_spinning;
    }
    schedule_loop(mp);
    leave_thread(mp);
    forget_thread(mp);
    if (mp->detached) {
        ::pthread_detach(::pthread_self());
        base::destroy(mp);
        return nullptr;
    }
    mp->ended.wake();  // mp may be gone after this
    return nullptr;
}

g* construct_g(void* memory) { return ::new (memory) g; }

void prepare_stacks() {
    stack::set_layout({sizeof(g), alignof(g),
                       [](void* memory) -> stack::block* { return construct_g(memory); }});
}

// A loop around a call that hops each time pays for the hop each time.
void warn_of_hot_call(const void* site, double per_second) {
    // Once for each; there are not many, or the warnings say nothing.
    constexpr std::size_t k_most = 64;
    static constinit base::seen_keys<k_most> named;
    if (named.add(reinterpret_cast<std::uintptr_t>(site)) == k_most) return;
    char name[512];
    describe_address(static_cast<const char*>(site) - 1, name, sizeof name);
    base::report("pirn: warning: a call at %p in %s goes on on a stack segment %.1f million times "
                 "a second; pirn::on_large_stack around the loop, or a goroutine started with "
                 "{.stack = 65536}, saves the way there and back\n",
                 static_cast<const void*>(static_cast<const char*>(site) - 1), name,
                 per_second / 1e6);
}

void see_growing(stack::block& b, bool begins) {
    g* gp = static_cast<g*>(&b);
    const g_status status = gp->status.load(std::memory_order_relaxed);
    if (begins && status == g_status::running) begin_growing(gp);
    if (!begins && status == g_status::growing) end_growing(gp);
}

void fatal_dump() { dump_all(STDERR_FILENO); }

struct main_call {
    void (*fn)(void*);
    void* arg;
};

void end_run(sched* s) {
    // ORD(stopping): release; pairs with the locks and the exchange in wake_all and idle.cc.
    s->stopping.store(true, std::memory_order_release);
    wake_all(s);
    nudge_sysmon(s);
}

// What the main goroutine runs.
void invoke_main(spawn_record* r) {
    const main_call call = *static_cast<main_call*>(r->closure);
    m* mp = self();
    mp->cur()->is_main = true;
    detail::free_record(r);
    call.fn(call.arg);
    if (self()->cur()->locals != nullptr) end_locals();
    end_run(self()->owner);
}

// CPU time that a thread has used; 0 where it cannot be told.
std::int64_t cpu_time_ns(pthread_t thread) {
    clockid_t id;
    timespec t;
    if (::pthread_getcpuclockid(thread, &id) != 0 || ::clock_gettime(id, &t) != 0) return 0;
    return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

// Whether the kernel has nothing to run for a thread: it is blocked in a call.
bool is_blocked(int tid) {
    char path[64], line[512];
    std::snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
    std::FILE* f = std::fopen(path, "re");
    if (f == nullptr) return false;
    const char* name_end = std::fgets(line, sizeof line, f) != nullptr ? std::strrchr(line, ')')
                                                                       : nullptr;
    std::fclose(f);
    return name_end != nullptr && (name_end[2] == 'S' || name_end[2] == 'D');
}

// Waits until an M has ended. False: it runs a goroutine that does not come to a check: one that
// has computed for k_straggler_ns, or has been blocked at each of several looks that far apart. An
// M that is in the scheduler, or merely was not given a CPU, is waited for.
bool join(m* mp) {
    constexpr int k_looks = 5;
    const std::int64_t used_before = cpu_time_ns(mp->thread);
    int blocked = 0;
    interrupt(mp);
    while (!mp->ended.sleep(base::now_ns() + k_straggler_ns)) {
        if (mp->cur() == nullptr) {
            blocked = 0;
            continue;
        }
        interrupt(mp);
        blocked = is_blocked(mp->tid) ? blocked + 1 : 0;
        if (blocked == k_looks || cpu_time_ns(mp->thread) - used_before >= k_straggler_ns) {
            ::pthread_detach(mp->thread);
            return false;
        }
    }
    ::pthread_join(mp->thread, nullptr);
    return true;
}

// An M whose thread is ours and has not been joined yet.
m* next_to_join(sched* s) {
    lock_guard hold(s->mu);
    for (m* mp = s->all_ms; mp != nullptr; mp = mp->next_all) {
        if (mp != s->m0 && mp != s->host.get() && !mp->joined) return mp;
    }
    return nullptr;
}

// Joins every M with a thread of ours, also those that others start until they are joined
// themselves. False: one was left behind.
bool join_all(sched* s) {
    bool all = true;
    while (m* mp = next_to_join(s)) {
        mp->joined = true;
        if (!join(mp)) all = false;
    }
    return all;
}

// A parked goroutine never goes on: it leaves the queue it waits on. A waker that has taken it off
// already is about to make it runnable; until it has, its record must stand. A select that was
// woken, but has not gone on, still has records on other queues.
void drop_parked(stack::block* b, void*) {
    g* gp = static_cast<g*>(b);
    if (gp->in_use == 0 || gp->waiting == nullptr) return;
    if (gp->status.load(std::memory_order_relaxed) != g_status::waiting && !gp->waiting->is_select)
        return;
    for (waiter* w = gp->waiting; w != nullptr; w = w->next_case) {
        if (w->drop != nullptr) w->drop(w);
    }
    gp->waiting = nullptr;
}

void free_p(p* pp, bool keep_stacks) {
    if (keep_stacks) pp->stacks.drain();
    pp->records.drain();
    base::deallocate(pp->timers.memory);
    base::destroy(pp);
}

void free_run(sched* s, bool keep_stacks) {
    while (m* mp = s->all_ms) {
        s->all_ms = mp->next_all;
        base::destroy(mp);
    }
    for (auto& slot : s->ps) {
        p* pp = slot.load(std::memory_order_relaxed);  // nobody else is left
        if (pp != nullptr) free_p(pp, keep_stacks);
    }
    base::destroy(s);
    release_records();
}

// Steps 6 to 9.
void clean_up(sched* s) {
    // ORD(current-run): seq_cst; pairs with the increment and the load in sched_ref.
    current.store(nullptr, std::memory_order_seq_cst);
    // ORD(current-run): seq_cst; as above.
    while (holders.load(std::memory_order_seq_cst) != 0) ::sched_yield();
    stop_sysmon(s);
    const bool all_joined = join_all(s);
    stack::for_each_block(drop_parked, nullptr);
    forget_host(s);
    if (s->m0 != nullptr) {
        leave_thread(s->m0);
        forget_thread(s->m0);
    }
    // Users' functions that were to be called are destroyed here: on a thread that is nobody's M,
    // with all stacks as they were.
    for (auto& slot : s->ps) {
        p* pp = slot.load(std::memory_order_relaxed);  // no M that makes Ps is left
        if (pp != nullptr) forget_timers(pp);
    }
    restore_unwind_hooks();
    restore_signal_handlers();
    base::set_fatal_hook(nullptr);
    // A straggler, also of an earlier run, may touch any stack that was in use then, and a signal
    // that was sent to it may still come.
    static bool left_behind = false;
    if (!all_joined) left_behind = true;
    if (!left_behind) restore_preemption();
    if (!all_joined) return;  // nor is anything else of its run given back
    if (stackstat_on) report_stackstat();
    if (!left_behind) {
        stack::for_each_block([](stack::block* b, void*) { stack::drop_segments(*b); }, nullptr);
        stack::release_segments();
        stack::release_all();
    }
    free_run(s, left_behind);
}

}  // namespace

namespace {

// One run at a time.
void occupy(const char* caller) {
    if (self() != nullptr) {
        throw panic(std::string(caller) +
                    (self()->owner->abandoned
                         ? ": called by a goroutine in the child of a fork: only another thread "
                           "can have a runtime there"
                         : ": called from inside a runtime"));
    }
    // ORD(occupied): acquire; what the last run left. Pairs with the release in vacate.
    if (occupied.exchange(true, std::memory_order_acquire))
        throw panic(std::string(caller) + ": a runtime is running already");
}

void vacate() {
    // ORD(occupied): release; pairs with the acquire in occupy.
    occupied.store(false, std::memory_order_release);
}

// The object of a run, and what the process needs for one. Steps 1 and 2.
sched* open_run(const options& o) {
    auto* s = base::make<sched>();
    s->opts = o;
    runs.fetch_add(1, std::memory_order_relaxed);  // they begin one after the other
    s->coarse_ns.store(base::now_ns(), std::memory_order_relaxed);
    const int procs = o.procs > 0 ? o.procs : default_procs();
    s->procs.store(static_cast<std::uint32_t>(procs < int{k_max_procs} ? procs : int{k_max_procs}),
                   std::memory_order_relaxed);
    affinity_cpus();  // the process's, not that of a thread which asks later
    look_at_process();
    watch_forks();
    open_gates();
    prepare_stacks();
    start_stackstat();
    stack::prepare_segments(
        {.max_bytes = o.max_stack, .see_every_hop = stackstat_on, .on_hot_call = warn_of_hot_call,
         .on_give_way = give_way_at, .on_growing = see_growing});
    install_signal_handlers();
    install_preemption();
    install_unwind_hooks();
    base::set_fatal_hook(fatal_dump);
    for (std::uint32_t id = s->procs.load(std::memory_order_relaxed); id-- > 0;) make_p(s, id);
    return s;
}

// The run can be had from outside; its Ps are idle, from one on.
void offer_run(sched* s, std::uint32_t first_idle) {
    for (std::uint32_t id = s->procs.load(std::memory_order_relaxed); id-- > first_idle;)
        add_idle_p(s, s->ps[id].load(std::memory_order_relaxed));
    // ORD(current-run): seq_cst; the run is whole. Pairs with the load in sched_ref.
    current.store(s, std::memory_order_seq_cst);
}

}  // namespace

// Taking a hold is counted before the pointer is read, so that a run that ends either sees the
// count or is not seen.
sched_ref::sched_ref() {
    // ORD(current-run): seq_cst; pairs with the store and the load in clean_up.
    holders.fetch_add(1, std::memory_order_seq_cst);
    // ORD(current-run): seq_cst; as above.
    s_ = current.load(std::memory_order_seq_cst);
}

sched_ref::~sched_ref() {
    // ORD(current-run): release; what was done with the run comes before its end.
    holders.fetch_sub(1, std::memory_order_release);
}

std::uint64_t run_number() { return runs.load(std::memory_order_relaxed); }

bool run_exists() {
    // ORD(occupied): acquire; pairs with the release in vacate.
    return occupied.load(std::memory_order_acquire);
}

void forget_run() {
    // The C library gives the stacks of the threads that are gone, with their control blocks, to
    // new ones.
    const sched* s = current.load(std::memory_order_relaxed);
    for (m* mp = s != nullptr ? s->all_ms : nullptr; mp != nullptr; mp = mp->next_all) {
        if (mp != self() && mp->limit_word != nullptr) *mp->limit_word = 0;
    }
    // Relaxed: there is one thread.
    current.store(nullptr, std::memory_order_relaxed);
    holders.store(0, std::memory_order_relaxed);
    started.store(nullptr, std::memory_order_relaxed);
    occupied.store(false, std::memory_order_relaxed);
}

p* make_p(sched* s, std::uint32_t id) {
    p* pp = base::make<p>();
    pp->owner = s;
    pp->id = id;
    pp->alone = s->procs.load(std::memory_order_relaxed) == 1;
    pp->stealable.store(!pp->alone, std::memory_order_relaxed);
    // ORD(ps): release; the P is whole. Pairs with the acquires of those who walk sched::ps.
    s->ps[id].store(pp, std::memory_order_release);
    return pp;
}

m* start_m(sched* s, p* pp, bool spinning) {
    m* mp = make_m(s);
    mp->handed = pp;
    mp->handed_spinning = spinning;
    if (const int e = ::pthread_create(&mp->thread, nullptr, m_main, mp); e != 0)
        base::fatalf("runtime: failed to create a thread: %s", std::strerror(e));
    return mp;
}

}  // namespace pirn::rt

namespace pirn {

using namespace rt;

namespace detail {

void run_main(void (*main_fn)(void*), void* arg, const options& o) {
    occupy("run");
    sched* s = open_run(o);
    m* m0 = make_m(s);
    s->m0 = m0;
    adopt_thread(m0);
    m0->cpu = s->ps[0].load(std::memory_order_relaxed);
    m0->cpu->runner = m0;
    m0->cpu->status = p_status::in_use;
    offer_run(s, 1);

    main_call call{main_fn, arg};
    spawn_record* r = new_record(sizeof call, alignof(main_call));
    ::new (r->closure) main_call(call);
    r->invoke = invoke_main;
    r->stack_bytes = k_main_stack_bytes;
    m0->cpu->spawned.add();
    queue_back(m0->cpu, r);
    start_owners();
    start_sysmon(s);
    schedule_loop(m0);
    clean_up(s);
    vacate();
}

}  // namespace detail

void start(const options& o) {
    occupy("start");
    sched* s = open_run(o);
    s->embedded = true;
    offer_run(s, 0);
    start_sysmon(s);
    // ORD(occupied): release; the run is whole. Pairs with the acquire in stop.
    started.store(s, std::memory_order_release);
}

void stop() {
    if (self() != nullptr) throw panic("stop: called by a goroutine");
    // ORD(occupied): acquire; pairs with the release in start.
    sched* s = started.exchange(nullptr, std::memory_order_acquire);
    if (s == nullptr) throw panic("stop: no runtime was started");
    end_run(s);
    clean_up(s);
    vacate();
}

int maxprocs(int n) {
    m* mp = self();
    sched_ref run;
    sched* s = mp != nullptr ? mp->owner : run.get();
    if (s == nullptr || s->abandoned) throw panic("maxprocs outside any runtime");
    const int before = static_cast<int>(s->procs.load(std::memory_order_relaxed));
    if (n <= 0 || n == before) return before;
    if (n > int{k_max_procs}) n = int{k_max_procs};
    change_procs(s, static_cast<std::uint32_t>(n));
    if (mp != nullptr && mp->cpu != nullptr) see_other_ps(mp->cpu);
    return before;
}

int set_max_threads(int n) {
    sched_ref run;
    sched* s = run.get();
    if (s == nullptr) throw panic("set_max_threads outside any runtime");
    s->mu.acquire();
    const int before = s->opts.max_threads;
    s->opts.max_threads = n;
    const bool too_many = s->m_count > n;
    s->mu.release();
    if (too_many) report_too_many(n);
    return before;
}

int num_cpu() { return affinity_cpus(); }

}  // namespace pirn
