// SPDX-License-Identifier: MIT
// semaphore: a number of units, of which each caller may take several.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <system_error>

#include <pirn/cancellation.h>
#include <pirn/deadline.h>
#include <pirn/word.h>

namespace pirn {

// What std::counting_semaphore is, weighted: acquire(k) takes k units at once. First in, first out:
// while one waits for many units, those behind it wait too, even for few (x/sync's semaphore). What
// happens before a release is visible after the acquire of what it gave. More may be released than
// there were at first.
//
// It may be destroyed as soon as its destroyer has acquired all that is released, also while others
// are still inside release(). Destroying it while somebody waits for it is fatal.
class semaphore {
  public:
    // With `units` free ones; negative: throws panic "sync: negative semaphore".
    constexpr explicit semaphore(std::int64_t units = 0) : state_(initial(units)) {}
    semaphore(const semaphore&) = delete;
    semaphore& operator=(const semaphore&) = delete;
    constexpr ~semaphore() {
        if (!__builtin_is_constant_evaluated() && may_be_waited_for()) destroy_slow("semaphore");
    }

    static constexpr std::int64_t max() noexcept { return INT64_MAX / 2; }

    // Blocks until k units are free and it is the caller's turn. k = 0 waits for the turn only.
    // Negative: throws panic "sync: negative semaphore".
    void acquire(std::int64_t k = 1) {
        if (!take(k)) acquire_until(k, {});
    }
    // The same, but only until the context is done; then its error, and nothing is acquired.
    std::expected<void, std::error_code> acquire(std::int64_t k, const cancellation& ctx) {
        return detail::wait_until_done(
            ctx, [=, this](const auto& end) { return try_acquire(k) || acquire_until(k, end); });
    }
    std::expected<void, std::error_code> acquire(const cancellation& ctx) {
        return acquire(1, ctx);
    }
    // True: acquired. Does not block; fails while fewer are free, or others wait.
    bool try_acquire(std::int64_t k = 1) { return take(k) || try_acquire_slow(k); }
    // Block for at least d, or until t, at the most. True: acquired.
    template <class Rep, class Period>
    bool try_acquire_for(std::chrono::duration<Rep, Period> d, std::int64_t k = 1) {
        return try_acquire(k) || acquire_until(k, detail::deadline_after(d));
    }
    template <class Clock, class Duration>
    bool try_acquire_until(const std::chrono::time_point<Clock, Duration>& t, std::int64_t k = 1) {
        return try_acquire(k) || detail::wait_by(t, [=, this](std::int64_t deadline_ns) {
            return acquire_until(k, deadline_ns);
        });
    }
    // Gives k units back, or adds them. Negative, or more than max() in all: throws panic.
    void release(std::int64_t k = 1) {
        std::int64_t old = state_.load(std::memory_order_relaxed);
        while ((old & k_waited_for) == 0 && k >= 0 && k <= max() - (old >> 1)) {
            // ORD(semaphore): release; pairs with the acquires in take.
            if (state_.compare_exchange_weak(old, old + k * 2, std::memory_order_release,
                                             std::memory_order_relaxed))
                return;
        }
        release_slow(k);
    }

  private:
    // The word: the free units times two, and whether somebody may be in line.
    static constexpr std::int64_t k_waited_for = 1;

    [[noreturn]] static void throw_negative();
    static constexpr std::int64_t initial(std::int64_t units) {
        if (units < 0 || units > max()) throw_negative();
        return units * 2;
    }
    bool take(std::int64_t k) {
        if (k < 0) throw_negative();
        std::int64_t old = state_.load(std::memory_order_relaxed);
        while ((old & k_waited_for) == 0 && old >> 1 >= k) {
            // ORD(semaphore): acquire; pairs with the releases in release and settle.
            if (state_.compare_exchange_weak(old, old - k * 2, std::memory_order_acquire,
                                             std::memory_order_relaxed))
                return true;
        }
        return false;
    }

    struct core;   // semaphore.cc

    bool acquire_until(std::int64_t k, const detail::wait_end& end);
    bool try_acquire_slow(std::int64_t k);
    void release_slow(std::int64_t k);

    friend class error_group;
    // For the destructor.
    bool may_be_waited_for() const noexcept {
        // Relaxed: whoever used it did so before.
        return (state_.load(std::memory_order_relaxed) & k_waited_for) != 0;
    }
    void destroy_slow(const char* what) const;

    detail::word<std::int64_t> state_;
};
static_assert(sizeof(semaphore) <= 8);

}  // namespace pirn
