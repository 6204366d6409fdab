// SPDX-License-Identifier: MIT
// The timer heaps: 4-ary, one for each P, each with a lock, since any thread may arm and stop.
//
// Invariants of a heap, under its lock:
//  - items[i].when_ns >= items[(i - 1) / 4].when_ns; items[i].t->place == i + 1.
//  - first_ns is items[0].when_ns, or k_never_ns.
//  - at most one M runs the heap's timers at a time (firing_on), so that equal deadlines fire in
//    turn and stop() can wait for the one that fires.
#include "runtime/timer.h"

#include <cstring>
#include <optional>
#include <utility>

#include "runtime/base/alloc.h"
#include "runtime/base/check.h"
#include "runtime/sched.h"
#include "runtime/self.h"

namespace pirn::rt {
namespace {

void put(timer_heap& h, std::uint32_t i, timer_entry e) {
    h.items[i] = e;
    e.t->place = i + 1;
}

void sift_up(timer_heap& h, std::uint32_t i, timer_entry e) {
    while (i > 0) {
        const std::uint32_t parent = (i - 1) / 4;
        if (h.items[parent].when_ns <= e.when_ns) break;
        put(h, i, h.items[parent]);
        i = parent;
    }
    put(h, i, e);
}

void sift_down(timer_heap& h, std::uint32_t i, timer_entry e) {
    for (;;) {
        const std::uint32_t first = 4 * i + 1;
        if (first >= h.size) break;
        std::uint32_t least = first;
        for (std::uint32_t c = first + 1; c < first + 4 && c < h.size; ++c) {
            if (h.items[c].when_ns < h.items[least].when_ns) least = c;
        }
        if (h.items[least].when_ns >= e.when_ns) break;
        put(h, i, h.items[least]);
        i = least;
    }
    put(h, i, e);
}

void publish_first(timer_heap& h) {
    // Relaxed: a hint for schedulers; wake_for_timer's fence orders it for sleepers.
    h.first_ns.store(h.size == 0 ? base::k_never_ns : h.items[0].when_ns,
                     std::memory_order_relaxed);
}

void insert(p* pp, timer* t) {
    timer_heap& h = pp->timers;
    // Room was made by reserve(): no allocation under the lock.
    t->heap.store(pp, std::memory_order_relaxed);
    const std::uint32_t last = h.size++;
    sift_up(h, last, {t->when_ns, t});
    publish_first(h);
}

void remove(timer_heap& h, timer* t) {
    const std::uint32_t i = t->place - 1;
    const timer_entry last = h.items[--h.size];
    if (last.t != t) {
        if (i > 0 && h.items[(i - 1) / 4].when_ns > last.when_ns)
            sift_up(h, i, last);
        else
            sift_down(h, i, last);
    }
    t->place = 0;
    publish_first(h);
}

// Makes room for `n` more. Takes and returns with the lock held; lets it go while it allocates.
void reserve(timer_heap& h, std::uint32_t n) {
    // The children of an item are the four from 4 i + 1 on.
    constexpr std::size_t k_siblings_bytes = 4 * sizeof(timer_entry), k_unused = 3;
    h.mu.acquire();
    while (h.capacity - h.size < n) {
        const std::uint32_t want = (h.size + n) * 2 + 14;
        h.mu.release();
        void* memory = base::allocate((want + k_unused) * sizeof(timer_entry), k_siblings_bytes);
        h.mu.acquire();
        if (want > h.capacity) {
            timer_entry* items = static_cast<timer_entry*>(memory) + k_unused;
            if (h.size > 0) std::memcpy(items, h.items, h.size * sizeof(timer_entry));
            std::swap(memory, h.memory);
            h.items = items;
            h.capacity = want;
        }
        h.mu.release();
        base::deallocate(memory);
        h.mu.acquire();
    }
}

}  // namespace

void timer_start(timer* t, std::int64_t when_ns) {
    m* mp = self();
    std::optional<sched_ref> run;   // an M's own run lasts as long as it
    if (mp == nullptr && !run.emplace()) throw panic("timer: no runtime is running");
    sched* s = mp != nullptr ? mp->owner : run->get();
    // ORD(ps): acquire; pairs with the release in make_p. P 0 exists as long as the run.
    p* pp = mp != nullptr && mp->cpu != nullptr ? mp->cpu
                                                : s->ps[0].load(std::memory_order_acquire);
    PIRN_ASSERT(t->place == 0);
    reserve(pp->timers, 1);
    t->when_ns = when_ns;
    insert(pp, t);
    const bool is_first = pp->timers.items[0].t == t;
    pp->timers.mu.release();
    if (!is_first) return;
    // The P's own M looks before it sleeps; an M that sleeps in the poller may have to get up.
    if (mp == nullptr || mp->cpu == nullptr) pp->attention.store(true, std::memory_order_relaxed);
    if (pp->until_check > 16 && mp != nullptr && pp == mp->cpu) pp->until_check = 16;
    wake_for_timer(s, when_ns);
}

bool timer_stop(timer* t) {
    for (;;) {
        p* pp = t->heap.load(std::memory_order_relaxed);
        if (pp == nullptr) return false;
        timer_heap& h = pp->timers;
        h.mu.acquire();
        if (t->heap.load(std::memory_order_relaxed) != pp) {
            h.mu.release();  // it moved with its retired P's others
            continue;
        }
        if (t->place != 0) {
            remove(h, t);
            h.mu.release();
            return true;
        }
        const bool fires = h.firing == t && h.firing_on != self();
        h.mu.release();
        if (!fires) return false;
        arch::pause();
    }
}

cancelled timer_cancel(timer* t) {
    for (;;) {
        const m* mp = self();
        std::optional<sched_ref> run;
        if (mp == nullptr && !run.emplace()) {
            // No P may be touched: those that fire come to their end, the others are forgotten.
            return t->heap.load(std::memory_order_relaxed) == nullptr || !run_exists()
                       ? cancelled::prevented
                       : cancelled::run_ends;
        }
        p* pp = t->heap.load(std::memory_order_relaxed);
        if (pp == nullptr) return cancelled::prevented;
        timer_heap& h = pp->timers;
        const lock_guard hold(h.mu);
        if (t->heap.load(std::memory_order_relaxed) != pp) continue;  // as in timer_stop
        if (t->place == 0) return cancelled::firing;
        remove(h, t);
        return cancelled::prevented;
    }
}

void run_timers(m* mp, p* pp, std::int64_t now) {
    timer_heap& h = pp->timers;
    h.mu.acquire();
    if (h.firing_on != nullptr) {
        h.mu.release();
        return;
    }
    h.firing_on = mp;
    while (h.size > 0 && h.items[0].when_ns <= now) {
        timer* t = h.items[0].t;
        remove(h, t);
        h.firing = t;
        // The next one, most likely on a stack that nobody has touched for long.
        if (h.size > 0) __builtin_prefetch(h.items[0].t);
        void (*fire)(timer*) = t->fire;
        h.mu.release();
        fire(t);
        mp->cpu->fired.add();
        h.mu.acquire();
        h.firing = nullptr;
    }
    h.firing_on = nullptr;
    h.mu.release();
}

void move_timers(p* from, p* to) {
    if (from == to) return;
    for (;;) {
        from->timers.mu.acquire();
        const std::uint32_t n = from->timers.size;
        from->timers.mu.release();
        if (n == 0) return;
        reserve(to->timers, n);
        from->timers.mu.acquire();
        for (std::uint32_t i = 0; i < n && from->timers.size > 0; ++i) {
            timer* t = from->timers.items[from->timers.size - 1].t;
            remove(from->timers, t);
            insert(to, t);
        }
        from->timers.mu.release();
        to->timers.mu.release();
        to->attention.store(true, std::memory_order_relaxed);
    }
}

// Those that are told are so without the lock, as those that fire are, and until then look as if
// they did: for who would cancel one, its run is ending still.
void forget_timers(p* pp) {
    timer_heap& h = pp->timers;
    h.mu.acquire();
    while (h.size > 0) {
        timer* t = h.items[--h.size].t;
        t->place = 0;
        if (!t->for_end) {
            t->heap.store(nullptr, std::memory_order_relaxed);
            continue;
        }
        t->at_end = true;
        h.mu.release();
        t->fire(t);
        h.mu.acquire();
    }
    publish_first(h);
    h.mu.release();
}

}  // namespace pirn::rt

namespace pirn::detail {
namespace {

using namespace rt;

struct sleeper : timer {
    who owner;
};

void sleep_from(std::int64_t now, std::int64_t deadline_ns) {
    parker self;
    if (!self.on_goroutine()) {
        note n;
        while (base::now_ns() < deadline_ns) n.sleep(deadline_ns);
        return;
    }
    if (deadline_ns <= now) {
        yield();
        return;
    }
    if (deadline_ns == base::k_never_ns) park_forever(wait_reason::sleep);
    sleeper t;
    t.owner = self.name();
    t.fire = [](timer* due) {
        auto* woken = static_cast<sleeper*>(due);
        // The frames below, where the goroutine goes on: many are often due at once, and none of
        // their stacks has been touched for long.
        const char* frame = reinterpret_cast<const char*>(woken);
        for (int line = 1; line <= 3; ++line) __builtin_prefetch(frame - line * 64, 1);
        ready(woken->owner);
    };
    // The timer may fire before the park, on another M: it is armed once this one is off its stack.
    t.when_ns = deadline_ns;
    self.park([](void* arg) {
        auto* armed = static_cast<sleeper*>(arg);
        timer_start(armed, armed->when_ns);
    }, &t, wait_reason::sleep);
}

}  // namespace

void sleep_for_ns(std::int64_t d_ns) {
    const std::int64_t now = base::now_ns();
    sleep_from(now, deadline_ns_after(now, d_ns));
}

void sleep_until_ns(std::int64_t deadline_ns) { sleep_from(base::now_ns(), deadline_ns); }

}  // namespace pirn::detail
