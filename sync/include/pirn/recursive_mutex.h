// SPDX-License-Identifier: MIT
// recursive_mutex: a mutex that its owner may lock again.
#pragma once

#include <chrono>
#include <cstdint>

#include <pirn/mutex.h>
#include <pirn/word.h>

namespace pirn {

// What std::recursive_timed_mutex is; the owner is the goroutine, on whichever thread it runs, or
// the thread where none runs. It is free when it was unlocked as often as it was locked. Destroying
// it while somebody waits for it is fatal; otherwise it may be destroyed as mutex.
class recursive_mutex {
  public:
    constexpr recursive_mutex() noexcept = default;
    recursive_mutex(const recursive_mutex&) = delete;
    recursive_mutex& operator=(const recursive_mutex&) = delete;

    // Blocks until the mutex is free or the caller's own.
    void lock();
    // The same, but only until the context is done; then its error, and it is not locked.
    std::expected<void, std::error_code> lock(const cancellation& ctx) {
        if (const std::error_code why = ctx.err()) return std::unexpected(why);
        if (lock_again()) return {};
        const auto locked = mutex_.lock(ctx);
        took(locked.has_value());
        return locked;
    }
    // True: locked, once more. Does not block.
    bool try_lock();
    // Block for at least d, or until t, at the most.
    template <class Rep, class Period>
    bool try_lock_for(std::chrono::duration<Rep, Period> d) {
        return lock_again() || took(mutex_.try_lock_for(d));
    }
    template <class Clock, class Duration>
    bool try_lock_until(const std::chrono::time_point<Clock, Duration>& t) {
        return lock_again() || took(mutex_.try_lock_until(t));
    }
    // Fatal error where it is not the caller's: "sync: unlock of recursive_mutex by another than
    // its owner".
    void unlock();

  private:
    bool lock_again();
    bool took(bool locked);

    // Who owns it: 0 nobody. Only the owner writes its own name there.
    detail::word<std::uint64_t> owner_;
    std::uint32_t depth_ = 0;   // the owner's: how often it has locked it
    mutex mutex_;
};
static_assert(sizeof(recursive_mutex) <= 16);

}  // namespace pirn
