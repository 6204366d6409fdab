// SPDX-License-Identifier: MIT
// fork from a process with a run: its child has one thread, and none of the goroutines but the one
// that forked, if it was one.
//
// In the child the run is gone, without anything being given back: its memory is a copy that nobody
// looks at again, in whatever state the other threads left it. Locks are free again. So:
//  - exec and _exit work at once, from anywhere;
//  - a goroutine that forked goes on on its stack, which grows as ever, and can do whatever needs
//    no other goroutine: channels with a value, free mutexes. `go` and `run` throw panic; to block,
//    to yield or to end is fatal;
//  - where a foreign thread has forked, or the goroutine that did has started a thread since, that
//    thread can have another `run`;
//  - what goroutines of the parent share (channels, mutexes, sockets) is left as it was.
//
// A goroutine that forked keeps its M, because the growth of its stack depends on it; but the M has
// a P and a run of their own, where every decision leads to report_no_runtime.
//
// Rejected: to hold all locks over the fork (it waits for every P, and the child has their queues
// still); to let the child run on with one M (goroutines of the parent would be in two processes).
#include "runtime/fork.h"
#include "runtime/owners.h"

#include <pthread.h>

#include "runtime/base/alloc.h"
#include "runtime/base/check.h"
#include "runtime/sched.h"
#include "runtime/self.h"
#include "stack/pool.h"
#include "stack/segment.h"

namespace pirn::rt {
namespace {

// The M of a goroutine that forked.
void strand(m* mp) {
    auto* s = base::make<sched>();
    s->opts = mp->owner->opts;
    s->abandoned = true;
    s->m0 = mp;
    p* pp = make_p(s, 0);
    pp->status = p_status::in_use;
    pp->runner = mp;
    pp->attention.store(true, std::memory_order_relaxed);  // there is no other thread
    pp->records.close();
    mp->owner = s;
    mp->cpu = pp;
    mp->spinning = false;
    mp->bound_g = nullptr;
}

void forget_all() {
    stack::forget_blocks();
    stack::forget_segments();
    forget_run();
    forget_records();
    forget_sleepers();
    forget_owners();
    forget_poller();
    forget_io();
    forget_local_lock();
    forget_aging();
    if (m* mp = self()) strand(mp);
}

// libc calls it on a large stack. No check may grow that before the locks are free, nor give way
// because the goroutine was asked to in the parent.
void in_child() {
    PIRN_PLAIN();
    const std::uintptr_t limit = arch::limit();
    arch::set_limit(0);
    forget_all();
    m* mp = self();
    if (mp != nullptr) mp->asked_to_give_way = false;
    arch::set_limit(mp != nullptr && limit == arch::k_give_way ? mp->cur()->limit : limit);
}

}  // namespace

void watch_forks() {
    static const int failed = ::pthread_atfork(nullptr, nullptr, in_child);
    if (failed != 0) base::fatalf("runtime: pthread_atfork failed: %d", failed);
}

void report_no_runtime() {
    base::fatal("this is the child of a fork, which has no runtime: a goroutine that forked cannot "
                "block, yield or end there, only exec or _exit");
}

}  // namespace pirn::rt
