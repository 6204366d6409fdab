// SPDX-License-Identifier: MIT
// future and async: the result of a function that runs in its own goroutine.
#pragma once

#include <cstdint>
#include <exception>
#include <expected>
#include <functional>
#include <future>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <utility>

#include <pirn/cancellation.h>
#include <pirn/counted_ref.h>
#include <pirn/deadline.h>
#include <pirn/outcome.h>
#include <pirn/runtime.h>
#include <pirn/word.h>

namespace pirn {

template <class T>
class future;

namespace detail {

// The untyped part of what a future and its goroutine share.
struct future_core {
    // Blocks until complete was called, or until the end. True: complete.
    bool wait(const wait_end& end = {});
    // Once. What was done before is visible after the wait.
    void complete() noexcept;

    ref_count refs;
    word<std::uint32_t> state;   // see future.cc
};

template <class T>
struct future_state : future_core {
    outcome<T> result;
};

template <class T, class Call>
struct async_task {
    counted_ref<future_state<T>> state;
    Call call;

    void operator()() {
        struct at_end {
            future_state<T>& s;
            ~at_end() {
                if (s.result.empty())
                    s.result.fail(std::make_exception_ptr(
                        std::future_error(std::future_errc::broken_promise)));
                s.complete();
            }
        } finally{*state};
        state->result.run([this]() -> T {
            // What it captured is gone when its result is there.
            Call mine(std::move(call));
            return mine();
        });
    }
};

// f with its arguments.
template <class F, class... A>
struct async_call {
    F f;
    std::tuple<A...> args;
    decltype(auto) operator()() { return std::apply(std::move(f), std::move(args)); }
};

}  // namespace detail

// std::future for goroutines: its waits block the goroutine, and from a thread the thread. One
// result, for one get. It may be dropped at any time: its destructor does not wait, and what the
// function threw is then gone.
template <class T>
class [[nodiscard]] future {
  public:
    future() noexcept = default;
    future(future&&) noexcept = default;
    future& operator=(future&&) noexcept = default;
    future(const future&) = delete;
    future& operator=(const future&) = delete;

    // Whether there is a result to come or to be had. Without one the others throw
    // std::future_error with no_state.
    bool valid() const noexcept { return static_cast<bool>(state_); }

    // Blocks until the function has ended; returns what it returned, or throws what it threw;
    // std::future_error with broken_promise if it called goexit. Not valid afterwards.
    T get() {
        needed().wait();
        const auto state = std::exchange(state_, {});
        return state->result.take();
    }

    // The same, but only until the context is done; then its error, and the future stays valid.
    std::expected<T, std::error_code> get(const cancellation& ctx)
        requires(!std::is_reference_v<T>)
    {
        if (const auto ready = wait(ctx); !ready) return std::unexpected(ready.error());
        if constexpr (std::is_void_v<T>) {
            get();
            return {};
        } else {
            return get();
        }
    }

    // Blocks until there is a result, until then or for so long at the most.
    void wait() const { needed().wait(); }
    std::expected<void, std::error_code> wait(const cancellation& ctx) const {
        detail::future_core& core = needed();
        return detail::wait_until_done(ctx, [&core](const auto& end) { return core.wait(end); });
    }
    template <class Clock, class Duration>
    std::future_status wait_until(const std::chrono::time_point<Clock, Duration>& t) const {
        detail::future_core& core = needed();
        return status(detail::wait_by(t, [&core](std::int64_t ns) { return core.wait(ns); }));
    }
    template <class Rep, class Period>
    std::future_status wait_for(std::chrono::duration<Rep, Period> d) const {
        return status(needed().wait(detail::deadline_after(d)));
    }

  private:
    template <class F, class... A>
    friend auto async(F&& f, A&&... args);

    explicit future(detail::counted_ref<detail::future_state<T>> state)
        : state_(std::move(state)) {}
    detail::future_state<T>& needed() const {
        if (!state_) throw std::future_error(std::future_errc::no_state);
        return *state_;
    }
    static std::future_status status(bool ready) {
        return ready ? std::future_status::ready : std::future_status::timeout;
    }

    detail::counted_ref<detail::future_state<T>> state_;
};

// Runs f(args...) in a goroutine, everything decayed and moved as std::thread does. f may return
// nothing, a reference, or anything that can be moved.
template <class F, class... A>
auto async(F&& f, A&&... args) {
    using result = std::invoke_result_t<std::decay_t<F>, std::decay_t<A>...>;
    using call = detail::async_call<std::decay_t<F>, std::decay_t<A>...>;
    detail::counted_ref state(new detail::future_state<result>);
    pirn::go(detail::async_task<result, call>{
        state, call{std::forward<F>(f), std::tuple<std::decay_t<A>...>(std::forward<A>(args)...)}});
    return future<result>(std::move(state));
}

}  // namespace pirn
