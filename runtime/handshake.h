// SPDX-License-Identifier: MIT
// The handshake of who queues work with who goes to sleep: the steps of the protocol ORD(idle),
// which idle.cc describes, and nothing else. test/runtime/model_test.cc explores this header.
//
// `World` is what the steps work on: sched and its Ms in idle.cc, a small model in the test.
//     idle_p_count, spinning   the two words: Ps on the idle list; Ms that look for work, also
//                              those that are on their way to do so
//     lock(), unlock()         guard the idle lists
//     pop_idle_p()             locked: takes a P off the idle list; null: there is none
//     push_idle_p()            locked: puts the caller's P there; false: there is work after all
//     hand_over(p)             locked: gives an M to p, which counts as spinning, and unlocks
//     take_p(p)                the caller has p from here on
//     wake_next()              what is said of stop_spinning
#pragma once

#include <cstdint>

#include "runtime/base/atomic.h"

namespace pirn::rt::handshake {

// Work was queued: whether somebody is to be woken for it.
template <class World>
inline bool wakeup_is_due(const World& w) {
    // ORD(idle): seq_cst fence; the queued work is visible before idle Ps and spinners are read.
    // Pairs with the fence in give_up_p.
    base::fence(std::memory_order_seq_cst);
    return w.idle_p_count.load(std::memory_order_relaxed) != 0 &&
           w.spinning.load(std::memory_order_relaxed) == 0;
}

// Wakes an M for an idle P, unless a wakeup is in flight.
template <class World>
inline void send_wakeup(World&& w) {
    std::uint32_t none = 0;
    // Relaxed: the lock below orders the hand-over.
    if (!w.spinning.compare_exchange(none, 1, std::memory_order_relaxed,
                                     std::memory_order_relaxed))
        return;
    w.lock();
    auto* pp = w.pop_idle_p();
    if (pp == nullptr) {
        // Every P is busy: their Ms look again before they sleep. Under the lock, so that who sees
        // a P that is listed from now on does not see this spinner, who will not look.
        w.spinning.fetch_sub(1, std::memory_order_relaxed);
        w.unlock();
        return;
    }
    w.hand_over(pp);
}

// An M without work lets its P go. True: it must look at every queue once more before it sleeps.
template <class World>
inline bool give_up_p(World&& w, bool spinning) {
    w.lock();
    const bool gone = w.push_idle_p();
    w.unlock();
    if (!gone) return false;
    // Relaxed: the fence follows.
    if (spinning) w.spinning.fetch_sub(1, std::memory_order_relaxed);
    // ORD(idle): seq_cst fence; the idle P is visible before the queues are read again. Pairs with
    // the fence in wakeup_is_due.
    base::fence(std::memory_order_seq_cst);
    return true;
}

template <class World>
inline void start_spinning(World&& w) {
    // Relaxed: who sees it early or late wakes one too few or too many. Too few only while the
    // spinner has still to look, or to leave by stop_spinning or give_up_p.
    w.spinning.fetch_add(1, std::memory_order_relaxed);
}

// It has seen work then: it is a spinner with an idle P. False: there is none, so others are at it.
template <class World>
inline bool come_back(World&& w) {
    w.lock();
    auto* pp = w.pop_idle_p();
    w.unlock();
    if (pp == nullptr) return false;
    w.take_p(pp);
    start_spinning(w);
    return true;
}

// A spinner has found work. The last that leaves with some sends the next, because those who have
// queued more meanwhile relied on it: wake_next is wakeup_is_due and send_wakeup.
template <class World>
inline void stop_spinning(World&& w) {
    if (w.spinning.fetch_sub(1, std::memory_order_relaxed) == 1) w.wake_next();
}

}  // namespace pirn::rt::handshake
