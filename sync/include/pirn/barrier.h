// SPDX-License-Identifier: MIT
// barrier: a number of parties that wait for each other, again and again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <system_error>
#include <type_traits>
#include <utility>

#include <pirn/cancellation.h>
#include <pirn/word.h>

namespace pirn {

namespace detail {

// The phases of a barrier.
class barrier_core {
  public:
    constexpr explicit barrier_core(std::ptrdiff_t expected)
        : state_(check(expected)), expected_(check(expected)) {}
    barrier_core(const barrier_core&) = delete;
    barrier_core& operator=(const barrier_core&) = delete;
    ~barrier_core();

    struct arrival {
        std::uint32_t phase;
        bool is_last;   // it has to complete the phase
    };
    arrival arrive(std::ptrdiff_t n);
    void drop_one();
    void complete(std::uint32_t phase);
    // False: the end came first.
    bool wait(std::uint32_t phase, const wait_end& end = {});

  private:
    [[noreturn]] static void throw_misuse();
    static constexpr std::uint32_t check(std::ptrdiff_t expected) {
        if (expected < 0 || expected > INT32_MAX) throw_misuse();
        return static_cast<std::uint32_t>(expected);
    }

    // The phase in the upper half, and how many have still to arrive.
    word<std::uint64_t> state_;
    word<std::uint32_t> expected_;   // in the next phase
};

struct no_completion {
    void operator()() noexcept {}
};

}  // namespace detail

// What std::barrier is, for goroutines and threads: a phase ends when as many as expected have
// arrived; the last of them calls completion(), then all that wait go on, and the next phase has
// begun. What happens before an arrival is visible to completion(), and what happens there after
// each wait. It may be destroyed as soon as all waits have returned. Destroying it while somebody
// waits is fatal.
template <class Completion = detail::no_completion>
class barrier {
    static_assert(std::is_nothrow_invocable_v<Completion&>, "pirn::barrier: noexcept, as std's");

  public:
    class arrival_token {
      public:
        arrival_token(arrival_token&&) = default;
        arrival_token& operator=(arrival_token&&) = default;

      private:
        friend barrier;
        explicit arrival_token(std::uint32_t phase) : phase_(phase) {}
        std::uint32_t phase_;
    };

    // Negative or too many: throws panic "sync: misuse of barrier".
    constexpr explicit barrier(std::ptrdiff_t expected, Completion f = Completion())
        : core_(expected), completion_(std::move(f)) {}

    static constexpr std::ptrdiff_t max() noexcept { return INT32_MAX; }

    // Counts n as arrived. More than are expected: throws panic "sync: misuse of barrier".
    [[nodiscard]] arrival_token arrive(std::ptrdiff_t n = 1) { return arrival_token(count(n)); }
    // Blocks until the phase of the arrival has ended.
    void wait(arrival_token&& arrival) { core_.wait(arrival.phase_); }
    // The same, but only until the context is done; then its error. The arrival stands.
    std::expected<void, std::error_code> wait(arrival_token&& arrival, const cancellation& ctx) {
        return detail::wait_until_done(ctx, [&](const detail::wait_end& end) {
            return core_.wait(arrival.phase_, end);
        });
    }
    void arrive_and_wait() { core_.wait(count(1)); }
    // Arrives, and is one less in all further phases.
    void arrive_and_drop() {
        core_.drop_one();
        count(1);
    }

  private:
    std::uint32_t count(std::ptrdiff_t n) {
        const auto [phase, is_last] = core_.arrive(n);
        if (is_last) {
            completion_();
            core_.complete(phase);
        }
        return phase;
    }

    detail::barrier_core core_;
    [[no_unique_address]] Completion completion_;
};

}  // namespace pirn
