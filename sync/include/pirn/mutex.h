// SPDX-License-Identifier: MIT
// mutex: mutual exclusion for goroutines and threads.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <system_error>

#include <pirn/cancellation.h>
#include <pirn/deadline.h>
#include <pirn/word.h>

namespace pirn {

namespace detail {
// Who holds which mutex is put on record (PIRN_DEBUG=deadlock=1).
extern word<bool> owners_watched;
}  // namespace detail

// Lockable and TimedLockable (std::lock_guard, std::unique_lock and std::scoped_lock take it); four
// bytes; usable as a global before main. Not recursive. It does not belong to a goroutine: one may
// lock it and another unlock it. What happens before an unlock is visible after every later lock.
//
// It may be destroyed as soon as its destroyer has locked and unlocked it, also while whoever
// unlocked it before is still inside unlock(). Destroying it while somebody waits for it is fatal.
//
// In normal mode whoever comes may take a free mutex, although others have waited longer: one that
// runs has no switch to pay. A waiter that has failed for 1 ms sets starvation mode, in which each
// unlock hands the mutex over to the first in line, until one gets it that has waited for less or
// is the last (the rules of Go's sync.Mutex).
class mutex {
  public:
    constexpr mutex() noexcept = default;
    mutex(const mutex&) = delete;
    mutex& operator=(const mutex&) = delete;
    constexpr ~mutex() {
        // Relaxed: whoever used it did so before.
        if (!__builtin_is_constant_evaluated() && state_.load(std::memory_order_relaxed) != 0)
            destroy_slow();
    }

    // Blocks until the mutex is free. Must not be called by who holds it.
    void lock() {
        std::uint32_t free = 0;
        // ORD(mutex): acquire; pairs with the releases in unlock and give_free.
        if (!state_.compare_exchange(free, k_locked, std::memory_order_acquire,
                                     std::memory_order_relaxed)) [[unlikely]]
            lock_slow();
        else if (detail::owners_watched.load(std::memory_order_relaxed)) [[unlikely]]
            record_owner();
    }
    // The same, but only until the context is done; then its error, and the mutex is not locked.
    std::expected<void, std::error_code> lock(const cancellation& ctx) {
        return detail::wait_until_done(
            ctx, [this](const auto& end) { return try_lock() || lock_until(end); });
    }
    // True: locked. Does not block; fails only while someone holds it.
    bool try_lock() {
        std::uint32_t free = 0;
        // ORD(mutex): acquire; pairs with the releases in unlock and give_free.
        if (!state_.compare_exchange(free, k_locked, std::memory_order_acquire,
                                     std::memory_order_relaxed))
            return try_lock_slow();
        if (detail::owners_watched.load(std::memory_order_relaxed)) [[unlikely]]
            record_owner();
        return true;
    }
    // Blocks until the mutex is free, for at least d or until t at the most. True: locked. Tries at
    // least once.
    template <class Rep, class Period>
    bool try_lock_for(std::chrono::duration<Rep, Period> d) {
        return try_lock() || lock_until(detail::deadline_after(d));
    }
    template <class Clock, class Duration>
    bool try_lock_until(const std::chrono::time_point<Clock, Duration>& t) {
        return try_lock() ||
               detail::wait_by(t, [this](std::int64_t deadline) { return lock_until(deadline); });
    }
    // Fatal error where it is not locked: "sync: unlock of unlocked mutex".
    void unlock() {
        std::uint32_t expected = k_locked;
        // ORD(mutex): release; pairs with the acquires in lock, try_lock and take.
        if (!state_.compare_exchange(expected, 0, std::memory_order_release,
                                     std::memory_order_relaxed)) [[unlikely]]
            unlock_slow(expected);
    }

  private:
    static constexpr std::uint32_t k_locked = 1;   // the other bits are in mutex_word.h

    void lock_slow();
    bool lock_until(const detail::wait_end& end);
    bool try_lock_slow();
    void record_owner();
    void unlock_slow(std::uint32_t old);
    void destroy_slow() const;

    detail::word<std::uint32_t> state_;
};
static_assert(sizeof(mutex) <= 8);

}  // namespace pirn
