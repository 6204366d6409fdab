// SPDX-License-Identifier: MIT
// rw_mutex: one writer or many readers.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <system_error>

#include <pirn/cancellation.h>
#include <pirn/deadline.h>
#include <pirn/word.h>

namespace pirn {

// SharedTimedLockable (std::shared_lock, std::unique_lock and std::scoped_lock take it); four
// bytes; usable as a global before main. Neither side is recursive; as a mutex it belongs to no
// goroutine. What happens before an unlock is visible after every later lock of either side, what
// happens before an unlock_shared after every later lock.
//
// As Go's sync.RWMutex: a writer that waits for readers to leave keeps new readers out, and the
// readers that wait when a writer unlocks come before the next writer. Among writers, whoever comes
// may take a free one, but one that has waited in line for 1 ms is given it by the next unlock.
//
// It may be destroyed as soon as its destroyer has locked and unlocked it, also while those who
// held it before are still inside unlock() and unlock_shared(). Destroying it while somebody waits
// for it is fatal.
class rw_mutex {
  public:
    constexpr rw_mutex() noexcept = default;
    rw_mutex(const rw_mutex&) = delete;
    rw_mutex& operator=(const rw_mutex&) = delete;
    constexpr ~rw_mutex() {
        // Relaxed: whoever used it did so before.
        if (!__builtin_is_constant_evaluated() && state_.load(std::memory_order_relaxed) != 0)
            destroy_slow();
    }

    // Blocks until neither a writer nor readers hold it.
    void lock() {
        std::uint32_t free = 0;
        // ORD(rw-mutex): acquire; pairs with the releases of both kinds of unlock.
        if (!state_.compare_exchange(free, k_writer, std::memory_order_acquire,
                                     std::memory_order_relaxed)) [[unlikely]]
            lock_until({});
    }
    // The same, but only until the context is done; then its error, and it is not locked.
    std::expected<void, std::error_code> lock(const cancellation& ctx) {
        return detail::wait_until_done(
            ctx, [this](const auto& end) { return try_lock() || lock_until(end); });
    }
    // True: locked. Does not block; fails only while it is held, or somebody is about to lock it.
    bool try_lock();
    // Blocks for at least d, or until t, at the most. True: locked. Tries at least once. A writer
    // that gives up lets the readers in that it kept out.
    template <class Rep, class Period>
    bool try_lock_for(std::chrono::duration<Rep, Period> d) {
        return try_lock() || lock_until(detail::deadline_after(d));
    }
    template <class Clock, class Duration>
    bool try_lock_until(const std::chrono::time_point<Clock, Duration>& t) {
        return try_lock() ||
               detail::wait_by(t, [this](std::int64_t deadline) { return lock_until(deadline); });
    }
    // Fatal error where no writer holds it: "sync: Unlock of unlocked RWMutex".
    void unlock() {
        std::uint32_t held = k_writer;
        // ORD(rw-mutex): release; pairs with the acquires of both kinds of lock.
        if (!state_.compare_exchange(held, 0, std::memory_order_release,
                                     std::memory_order_relaxed)) [[unlikely]]
            unlock_slow(held);
    }

    // Blocks while a writer holds it, or waits for readers to leave.
    void lock_shared() {
        // ORD(rw-mutex): acquire; pairs with the release of unlock.
        if ((state_.fetch_add(k_reader, std::memory_order_acquire) & k_writer) != 0) [[unlikely]]
            lock_shared_slow();
    }
    // True: locked. Does not block; fails only while a writer holds it or waits for readers.
    bool try_lock_shared() {
        std::uint32_t old = state_.load(std::memory_order_relaxed);
        while ((old & k_writer) == 0) {
            // ORD(rw-mutex): acquire; pairs with the release of unlock.
            if (state_.compare_exchange_weak(old, old + k_reader, std::memory_order_acquire,
                                             std::memory_order_relaxed))
                return true;
        }
        // The writer that keeps readers out may be gone.
        return is_drained(old) && try_lock_shared_slow();
    }
    std::expected<void, std::error_code> lock_shared(const cancellation& ctx) {
        return detail::wait_until_done(
            ctx, [this](const auto& end) { return try_lock_shared() || lock_shared_until(end); });
    }
    template <class Rep, class Period>
    bool try_lock_shared_for(std::chrono::duration<Rep, Period> d) {
        return try_lock_shared() || lock_shared_until(detail::deadline_after(d));
    }
    template <class Clock, class Duration>
    bool try_lock_shared_until(const std::chrono::time_point<Clock, Duration>& t) {
        return try_lock_shared() || detail::wait_by(t, [this](std::int64_t deadline) {
            return lock_shared_until(deadline);
        });
    }
    // Fatal error where no reader holds it: "sync: RUnlock of unlocked RWMutex".
    void unlock_shared() {
        // ORD(rw-mutex): release; pairs with the acquires of lock.
        const std::uint32_t old = state_.fetch_sub(k_reader, std::memory_order_release);
        // There was none, or it was the last one, for whom a writer waits.
        if (old < ((old & k_drain) != 0 ? 2 * k_reader : k_reader)) [[unlikely]]
            unlock_shared_slow(old);
    }

  private:
    // The word's bits, see rw_mutex.cc; the number of readers is in the others.
    static constexpr std::uint32_t k_writer = 1, k_drain = 2, k_parked = 4, k_reader = 8;
    static constexpr std::uint32_t k_bits = k_reader - 1;

    // A writer waits for readers, of whom none is left.
    static constexpr bool is_drained(std::uint32_t state) noexcept {
        return (state & k_drain) != 0 && state < k_reader;
    }
    struct core;   // rw_mutex.cc

    bool lock_until(const detail::wait_end& end);
    void lock_shared_slow();
    bool lock_shared_until(const detail::wait_end& end);
    void unlock_slow(std::uint32_t old);
    void unlock_shared_slow(std::uint32_t old);
    bool try_lock_shared_slow();
    void settle();
    void destroy_slow() const;

    detail::word<std::uint32_t> state_;
};
static_assert(sizeof(rw_mutex) <= 8);

}  // namespace pirn
