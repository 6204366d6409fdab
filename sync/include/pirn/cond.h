// SPDX-License-Identifier: MIT
// cond: waiting for a condition that a lock protects.
#pragma once

#include <chrono>
#include <concepts>
#include <condition_variable>
#include <cstdint>
#include <expected>
#include <system_error>

#include <pirn/cancellation.h>
#include <pirn/deadline.h>
#include <pirn/word.h>

namespace pirn {

// What std::condition_variable_any is, for goroutines and threads: waits with any lock that has
// lock() and unlock(), which must not block in unlock(): pirn::mutex itself, std::unique_lock of
// it, std::shared_lock of an rw_mutex. Those who wait are woken in the order in which they came,
// none without a notify: one that comes after a notify_one cannot take it from one that came
// before (Go's sync.Cond). All the same the condition has to be looked at again after a wait:
// others may have had the lock in between.
//
// A wait unlocks the lock once the caller is in line, and locks it again before it returns or
// throws. It may be destroyed as soon as all that wait have been notified, although they have not
// returned yet. Destroying it while somebody waits is fatal.
class cond {
  public:
    constexpr cond() noexcept = default;
    cond(const cond&) = delete;
    cond& operator=(const cond&) = delete;
    constexpr ~cond() {
        // Relaxed: whoever used it did so before.
        if (!__builtin_is_constant_evaluated() && waited_for_.load(std::memory_order_relaxed) != 0)
            destroy_slow();
    }

    // Blocks until notified.
    template <class Lock>
    void wait(Lock& lock) {
        wait_until_end(lock, {});
    }
    // Blocks until condition() holds, which is called with the lock.
    template <class Lock, std::predicate Condition>
    void wait(Lock& lock, Condition condition) {
        while (!condition()) wait(lock);
    }
    // The same, but only until the context is done; then its error, with the lock as after each.
    template <class Lock>
    std::expected<void, std::error_code> wait(Lock& lock, const cancellation& ctx) {
        return detail::wait_until_done(
            ctx, [&](const detail::wait_end& end) { return wait_until_end(lock, end); });
    }
    template <class Lock, std::predicate Condition>
    std::expected<void, std::error_code> wait(Lock& lock, Condition condition,
                                              const cancellation& ctx) {
        for (;;) {
            if (const std::error_code why = ctx.err()) return std::unexpected(why);
            if (condition()) return {};
            wait_until_end(lock, ctx);
        }
    }
    // Block for at least d, or until t, at the most. With a condition: whether it holds.
    template <class Lock, class Rep, class Period>
    std::cv_status wait_for(Lock& lock, std::chrono::duration<Rep, Period> d) {
        return status(wait_until_end(lock, detail::deadline_after(d)));
    }
    template <class Lock, class Rep, class Period, class Condition>
    bool wait_for(Lock& lock, std::chrono::duration<Rep, Period> d, Condition condition) {
        const std::int64_t deadline_ns = detail::deadline_after(d);
        while (!condition()) {
            if (!wait_until_end(lock, deadline_ns)) return condition();
        }
        return true;
    }
    template <class Lock, class Clock, class Duration>
    std::cv_status wait_until(Lock& lock, const std::chrono::time_point<Clock, Duration>& t) {
        return status(detail::wait_by(
            t, [&](std::int64_t deadline_ns) { return wait_until_end(lock, deadline_ns); }));
    }
    template <class Lock, class Clock, class Duration, class Condition>
    bool wait_until(Lock& lock, const std::chrono::time_point<Clock, Duration>& t,
                    Condition condition) {
        while (!condition()) {
            if (wait_until(lock, t) == std::cv_status::timeout) return condition();
        }
        return true;
    }

    // Wakes the one that has waited longest, if any. With or without the lock.
    void notify_one() {
        // Relaxed: who waits has said so before it unlocked the lock, which the caller has had
        // since, if it changed what is waited for.
        if (waited_for_.load(std::memory_order_relaxed) != 0) notify_slow(false);
    }
    // Wakes all that wait.
    void notify_all() {
        if (waited_for_.load(std::memory_order_relaxed) != 0) notify_slow(true);
    }

  private:
    static std::cv_status status(bool notified) {
        return notified ? std::cv_status::no_timeout : std::cv_status::timeout;
    }
    // True: notified.
    template <class Lock>
    bool wait_until_end(Lock& lock, const detail::wait_end& end) {
        // Nothing is locked again if it could not be unlocked.
        struct relock {
            Lock& lock;
            bool unlocked = false;
            ~relock() noexcept(false) {
                if (unlocked) lock.lock();
            }
        } at_end{lock};
        return park(
            [](void* arg) {
                auto* held = static_cast<relock*>(arg);
                held->lock.unlock();
                held->unlocked = true;
            },
            &at_end, end);
    }
    bool park(void (*unlock)(void*), void* arg, const detail::wait_end& end);
    void notify_slow(bool all);
    void destroy_slow() const;

    // 1: somebody may be in line. Changed under the bucket's lock.
    detail::word<std::uint32_t> waited_for_;
};
static_assert(sizeof(cond) <= 8);

}  // namespace pirn
