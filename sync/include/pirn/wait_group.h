// SPDX-License-Identifier: MIT
// wait_group: waits until a number of things are done.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <system_error>
#include <type_traits>
#include <utility>

#include <pirn/cancellation.h>
#include <pirn/runtime.h>
#include <pirn/word.h>

namespace pirn {

// A counter and those who wait for it to become zero. What happens before a done() is visible after
// the wait() that it releases. As in Go: an add() that raises the counter from zero happens before
// the wait() it is meant for; the group is used again only after every wait() has returned, else
// that wait() throws panic "sync: WaitGroup is reused before previous Wait has returned".
//
// It may be destroyed as soon as wait() has returned to its destroyer (and to whoever else waits),
// also while others are still inside done(). Destroying it while somebody waits for it is fatal.
class wait_group {
  public:
    constexpr wait_group() noexcept = default;
    wait_group(const wait_group&) = delete;
    wait_group& operator=(const wait_group&) = delete;
    constexpr ~wait_group() {
        if (!__builtin_is_constant_evaluated() && may_be_waited_for()) destroy_slow("wait_group");
    }

    // Adds n, which may be negative, and releases those who wait if the counter is zero then. Below
    // zero: throws panic "sync: negative WaitGroup counter", and leaves the counter alone.
    void add(int n) {
        std::uint64_t old = state_.load(std::memory_order_relaxed);
        const std::uint64_t next =
            old + (static_cast<std::uint64_t>(static_cast<std::int64_t>(n)) << k_counter_shift);
        // Below zero (beyond 31 bits is, as in Go), or zero with waiters, or others are at it.
        if (static_cast<std::int64_t>(next) < 0 || next - 1 < UINT32_MAX ||
            // ORD(wait-group): acq_rel; pairs with the acquires of those who wait, and with itself:
            // the last one passes on what the others did before their done().
            !state_.compare_exchange(old, next, std::memory_order_acq_rel,
                                     std::memory_order_relaxed)) [[unlikely]]
            add_slow(n);
    }
    void done() { add(-1); }
    // Blocks until the counter is zero.
    void wait() {
        // ORD(wait-group): acquire; pairs with the releases in add, add_slow and count_down.
        if (state_.load(std::memory_order_acquire) >> k_counter_shift != 0) wait_until({});
    }
    // The same, but only until the context is done; then its error.
    std::expected<void, std::error_code> wait(const cancellation& ctx) {
        return detail::wait_until_done(ctx, [this](const auto& end) { return wait_until(end); });
    }

    // Runs f in a goroutine that is counted from now until f has returned (or called goexit) and is
    // destroyed. An exception that leaves f ends the process, before anyone could wait in vain for
    // what f did not do.
    template <class F>
    void go(F&& f) {
        static_assert(std::is_invocable_v<std::decay_t<F>>, "pirn::wait_group::go: f() is called");
        add(1);
        // Counted down again if the goroutine cannot be made.
        struct undo {
            wait_group* group;
            ~undo() {
                if (group != nullptr) group->done();
            }
        } started{this};
        pirn::go(task<std::decay_t<F>>{this, std::forward<F>(f)});
        started.group = nullptr;
    }

  private:
    static constexpr int k_counter_shift = 32;

    template <class F>
    struct task {
        wait_group* group;
        F f;
        void operator()() {
            struct at_end {
                wait_group* group;
                ~at_end() { group->done(); }
            } end{group};
            // Destroyed before the count: its captures may refer to what the waiter destroys.
            F local(std::move(f));
            std::invoke(std::move(local));
        }
    };

    void add_slow(int n);
    // False: the end came first.
    bool wait_until(const detail::wait_end& end);

    friend class error_group;
    // For the destructor. One whose wait has been cancelled still counts.
    bool may_be_waited_for() const noexcept {
        // Relaxed: whoever used it did so before. The last done() has left the word zero.
        return static_cast<std::uint32_t>(state_.load(std::memory_order_relaxed)) != 0;
    }
    void destroy_slow(const char* what) const;

    // The counter in its upper half, in its lower how many wait. See wait_group.cc.
    detail::word<std::uint64_t> state_;
};
static_assert(sizeof(wait_group) <= 16);

}  // namespace pirn
