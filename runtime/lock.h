// SPDX-License-Identifier: MIT
// The runtime's own lock: a futex mutex of four bytes for short critical sections. While one is
// held: no user code, no allocation, no ready(), no switch (but for park's unlock function).
#pragma once

#include <cstdint>

#include "runtime/base/atomic.h"
#include "runtime/lockrank.h"

namespace pirn::rt {

class lock {
  public:
    constexpr explicit lock(lock_rank rank) : rank_(rank) {}
    lock(const lock&) = delete;
    lock& operator=(const lock&) = delete;

    void acquire() {
        lockrank_acquire(rank_);
        std::uint32_t expected = k_free;
        // ORD(lock): acquire; pairs with the release in release().
        if (!state_.compare_exchange(expected, k_held, std::memory_order_acquire,
                                     std::memory_order_relaxed)) [[unlikely]]
            acquire_slow();
    }
    bool try_acquire() {
        std::uint32_t expected = k_free;
        // ORD(lock): acquire; pairs with the release in release().
        const bool ok = state_.compare_exchange(expected, k_held, std::memory_order_acquire,
                                                std::memory_order_relaxed);
        if (ok) lockrank_acquire(rank_);
        return ok;
    }
    // The object may be destroyed by the next owner as soon as the word is free.
    void release() {
        lockrank_release(rank_);
        // ORD(lock): release; pairs with the acquires in acquire() and acquire_slow().
        if (state_.exchange(k_free, std::memory_order_release) == k_contended) [[unlikely]]
            wake_one(state_.address());
    }

  private:
    static constexpr std::uint32_t k_free = 0, k_held = 1, k_contended = 2;
    void acquire_slow();
    static void wake_one(std::uint32_t* address);

    base::atomic<std::uint32_t> state_{k_free};
    lock_rank rank_;
};

// Holds a lock for a scope.
class lock_guard {
  public:
    explicit lock_guard(lock& l) : lock_(l) { lock_.acquire(); }
    ~lock_guard() { lock_.release(); }
    lock_guard(const lock_guard&) = delete;
    lock_guard& operator=(const lock_guard&) = delete;

  private:
    lock& lock_;
};

}  // namespace pirn::rt
