// SPDX-License-Identifier: MIT
// latch: waits until a number of things have happened, once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <system_error>

#include <pirn/cancellation.h>
#include <pirn/word.h>

namespace pirn {

// What std::latch is, for goroutines and threads. It may be destroyed as soon as wait() has
// returned to its destroyer and to whoever else waits, also while others are still inside
// count_down(). Destroying it while somebody waits is fatal.
class latch {
  public:
    // Negative: throws panic "sync: negative latch counter".
    constexpr explicit latch(std::ptrdiff_t count) : state_(initial(count)) {}
    latch(const latch&) = delete;
    latch& operator=(const latch&) = delete;
    constexpr ~latch() {
        // Relaxed: whoever used it did so before.
        if (!__builtin_is_constant_evaluated() &&
            (state_.load(std::memory_order_relaxed) & k_waited_for) != 0)
            destroy_slow();
    }

    static constexpr std::ptrdiff_t max() noexcept { return PTRDIFF_MAX / 2; }

    // Below zero: throws panic "sync: negative latch counter", and leaves the counter alone.
    void count_down(std::ptrdiff_t n = 1);
    // Whether the counter is zero.
    bool try_wait() const noexcept {
        // ORD(latch): acquire; pairs with the releases in count_down.
        return state_.load(std::memory_order_acquire) == 0;
    }
    // Blocks until the counter is zero.
    void wait() { wait_until({}); }
    // The same, but only until the context is done; then its error.
    std::expected<void, std::error_code> wait(const cancellation& ctx) {
        return detail::wait_until_done(ctx, [this](const auto& end) { return wait_until(end); });
    }
    void arrive_and_wait(std::ptrdiff_t n = 1) {
        count_down(n);
        wait();
    }

  private:
    // The word: the counter times two, and whether somebody may wait.
    static constexpr std::int64_t k_waited_for = 1;

    struct core;   // latch.cc

    [[noreturn]] static void throw_negative();
    static constexpr std::int64_t initial(std::ptrdiff_t count) {
        if (count < 0 || count > max()) throw_negative();
        return count * 2;
    }
    bool wait_until(const detail::wait_end& end);
    void destroy_slow() const;

    detail::word<std::int64_t> state_;
};
static_assert(sizeof(latch) <= 8);

}  // namespace pirn
