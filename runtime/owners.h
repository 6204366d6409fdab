// SPDX-License-Identifier: MIT
// PIRN_DEBUG=deadlock=1: which goroutine holds which mutex, so that those who wait for each other
// in a circle are reported while others still run.
#pragma once

#include <pirn/word.h>

namespace pirn::detail {

// The setting is on. A word of its own for a lock that is inline.
extern word<bool> owners_watched;

}  // namespace pirn::detail

namespace pirn::rt {

// Read at the start of a run; all that was known is forgotten.
void start_owners();
// In the child of a fork: likewise, whoever held the lock.
void forget_owners();

// Relaxed: who sees it late misses a mutex that was locked at the start.
inline bool watch_owners() { return detail::owners_watched.load(std::memory_order_relaxed); }

// The calling goroutine is about to wait for the mutex: reports a circle and ends the process, if
// this closes one. To be called before each wait or only before the first.
void await_owner(const void* mutex);
// It has locked the mutex, with or without a wait.
void become_owner(const void* mutex);
// The mutex is about to be unlocked, by anyone.
void end_ownership(const void* mutex);

}  // namespace pirn::rt
