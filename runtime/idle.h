// SPDX-License-Identifier: MIT
// What idle.cc and those around it share: Ps and Ms that change hands.
#pragma once

#include "runtime/base/clock.h"
#include "runtime/sched.h"

namespace pirn::rt {

// The idle list. s->mu is held. `wanted`: rather this one, if it is there; null: any.
p* pop_idle_p(sched* s, const p* wanted);
void push_idle_p(sched* s, p* pp);
// The M has the P from here on.
void take_p(m* mp, p* pp);
// Gives an M to pp, which is on no list; with a spinner's place or without. Takes s->mu over and
// lets it go.
void hand_over(sched* s, p* pp, bool spinning);
// Puts the M's P on the idle list. False: there is work after all, or the P has just been retired,
// and the M keeps it for another look. `handed_on`: retire_p has emptied it.
bool give_up_p(m* mp, bool handed_on);
// The M has no P and nothing to do. True: it has a P again. False: the run ends.
bool sleep_for_work(m* mp);
// The M has a P and no work, and looks for some; it has found some.
void start_spinning(m* mp);
void stop_spinning(m* mp);
// Makes what the poller found runnable on pp.
void queue_polled(p* pp, base::fifo<qnode>& found);

// Whether the thread is the program's, lent to the run.
inline bool is_lent(const m* mp) { return mp == mp->owner->m0 || mp == mp->owner->host.get(); }

// All that is there to see: goroutines that could run, and what will be due.
struct outlook {
    bool work = false;         // on a ring or the global queue
    bool next_only = false;    // on some P's next slot
    std::int64_t first_timer_ns = base::k_never_ns;
};
outlook look_at_all(sched* s);
// Has an idle M, or a new one, see to the poller, for there is something to wait for.
void wake_to_watch(sched* s);

// find.cc: what is runnable at hand: the M's own P's queue, the global one, timers, network.
qnode* look_at_hand(m* mp);

// bound.cc

// The next of an M that runs one goroutine only: that one, with a P. Null: the M has to end, or is
// free of it (bound_g is null then).
qnode* await_bound(m* mp);
// mp has taken a goroutine off a queue that belongs to another M: that one gets the P, if it waits
// for it already.
void give_p_to_bound(m* mp, g* gp);

}  // namespace pirn::rt
