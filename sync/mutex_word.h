// SPDX-License-Identifier: MIT
// The mutex's word and each change of it: the protocol ORD(mutex), which mutex.cc describes, and
// nothing else. test/sync/model_test.cc explores it.
//
// The word's bits:
//   locked    somebody holds it.
//   parked    there may be waiters in the parking lot. Set by a waiter, under the bucket's lock,
//             before it parks; cleared by an unlock that saw the queue, under that lock.
//   starving  starvation mode; only together with locked and parked.
//   watched   its owner is on record (runtime/owners.h), so its unlock takes the slow path; only
//             together with locked.
#pragma once

#include <cstdint>

#include <pirn/word.h>

namespace pirn::mutex_word {

using word = detail::word<std::uint32_t>;

inline constexpr std::uint32_t k_locked = 1, k_parked = 2, k_starving = 4, k_watched = 8;

// Locks it if it is free; `locked` is how: k_locked, with k_watched or not.
inline bool take(word& state, std::uint32_t locked) {
    // Relaxed: the exchange orders what follows.
    std::uint32_t old = state.load(std::memory_order_relaxed);
    while ((old & k_locked) == 0) {
        // ORD(mutex): acquire; pairs with the releases in unlock and give_free.
        if (state.compare_exchange_weak(old, old | locked, std::memory_order_acquire,
                                        std::memory_order_relaxed))
            return true;
    }
    return false;
}

// Under the bucket's lock: says that somebody parks, unless the mutex is free by now.
inline bool announce(word& state, bool starving) {
    std::uint32_t old = state.load(std::memory_order_relaxed);
    for (;;) {
        if ((old & k_locked) == 0) return false;
        const std::uint32_t next = old | k_parked | (starving ? k_starving : 0);
        // Relaxed: the word is all that is said here, and the lock of the bucket orders the rest.
        if (state.compare_exchange_weak(old, next, std::memory_order_relaxed,
                                        std::memory_order_relaxed))
            return true;
    }
}

// By the holder: its unlock is to go the slow way.
inline void note_watched(word& state) {
    std::uint32_t old = state.load(std::memory_order_relaxed);
    // Relaxed: it is the holder's own note.
    while (!state.compare_exchange_weak(old, old | k_watched, std::memory_order_relaxed,
                                        std::memory_order_relaxed)) {
    }
}

// By the holder, under the bucket's lock: whether the first in line gets it.
inline bool is_starving(const word& state) {
    // Relaxed: whoever adds a bit does so under the same lock.
    return (state.load(std::memory_order_relaxed) & k_starving) != 0;
}

// By the holder, under the bucket's lock: it is the first waiter's now. `more`: others wait;
// `stay`: the mode goes on.
inline void hand_over(word& state, std::uint32_t locked, bool more, bool stay) {
    // Relaxed: it is not given free; the wakeup orders what the two holders do.
    state.store(locked | (more ? k_parked : 0) | (more && stay ? k_starving : 0),
                std::memory_order_relaxed);
}

// By the holder, under the bucket's lock: anyone may take it.
inline void give_free(word& state, bool more) {
    // ORD(mutex): release; pairs with the acquires in take and lock.
    state.store(more ? k_parked : 0, std::memory_order_release);
}

}  // namespace pirn::mutex_word
