// SPDX-License-Identifier: MIT
// The one statement of lock order. A lock may be acquired only while all held ones rank lower;
// builds with -Dchecks=true check every acquire on the runtime's threads.
#pragma once

#include <cstdint>

namespace pirn::rt {

// From the outermost to the innermost.
enum class lock_rank : std::uint8_t {
    run,        // start and end of a run: held while threads are made
    context,    // a context: waits link with it, then with what they wait on; arms timers
    fd,         // one io::fd's direction; its holder arms timers and the poller
    tasks,      // the end of a worker pool's list where tasks are taken
    hchan,      // a channel; select takes several in the order of their addresses
    sema,       // a bucket of sema's table
    timers,     // one P's timer heap
    pools,      // the list of sync's pools: held while they are made older, under sched
    sched,      // global queue, idle Ps and Ms
    stack,      // the global list of stacks
    leaf,       // nothing is acquired under it
};

#ifdef PIRN_CHECKS
void lockrank_acquire(lock_rank rank);
void lockrank_release(lock_rank rank);
#else
inline void lockrank_acquire(lock_rank) {}
inline void lockrank_release(lock_rank) {}
#endif

}  // namespace pirn::rt
