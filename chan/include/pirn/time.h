// SPDX-License-Identifier: MIT
// Timers and tickers: the time on channels, and functions called after a while. Sleeping and the
// clock come with it.
//
// Handles are references, as in Go: copies name the same timer. After stop() or reset() returns,
// nothing of before can be received, so that no channel need be drained. A timer that nobody refers
// to any more, neither by a handle nor by its channel, is freed, whether it has fired or not; it
// need not be stopped for that.
//
// All of it may be called from goroutines and, while a runtime runs, from threads; what arms a
// timer throws panic where none runs. The end of a run disarms its timers. No timer fires before
// its duration has passed on the clock; one too long for the clock never does.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

#include <pirn/chan.h>
#include <pirn/runtime.h>
#include <pirn/sleep.h>

namespace pirn {
namespace detail {

// The core. What makes a timer arms it and gives one reference.
hchan* make_timer(std::int64_t d_ns);
hchan* make_ticker(std::int64_t period_ns);

// A function to be called, and how: `start` is what a goroutine's spawn_record needs, its closure
// being the timer's hchan*, whose reference it takes over.
struct timed_call {
    void* function = nullptr;
    void (*destroy)(void* function) noexcept = nullptr;
    void (*start)(spawn_record*) = nullptr;
    const void* created_at = nullptr;
};
// Takes the function over if it returns.
hchan* make_timed_call(std::int64_t d_ns, const timed_call& call);
void* timed_function(hchan* c) noexcept;

bool stop_timer(hchan* c);
bool reset_timer(hchan* c, std::int64_t d_ns);
void stop_ticker(hchan* c);
void reset_ticker(hchan* c, std::int64_t period_ns);

// A handle's reference to its timer.
class timed_ref : public chan_ref {
  public:
    explicit timed_ref(hchan* counted) noexcept : chan_ref(counted) {}
    hchan* get() const noexcept { return c_; }
    recv_chan<clock::time_point> channel() const noexcept {
        hchan_retain(c_);
        return chan_access::receiver<clock::time_point>(c_);
    }
};

template <class F>
void start_timed_call(spawn_record* r) {
    const timed_ref hold(*static_cast<hchan**>(r->closure));
    free_record(r);
    std::invoke(*static_cast<F*>(timed_function(hold.get())));
}

}  // namespace detail

// Sends the time once, after a duration. Its channel looks unbuffered, and is never closed.
struct timer {
    template <class Rep, class Period>
    explicit timer(std::chrono::duration<Rep, Period> d)
        : timer(detail::timed_ref(detail::make_timer(detail::saturate_ns(d)))) {}

    recv_chan<clock::time_point> c;   // nil for after_func's

    // Disarms it. True: it was armed, and by this call its time will not be received (its function
    // not be called). A function that runs already is not waited for.
    bool stop() const { return detail::stop_timer(timer_.get()); }
    // Arms it anew, from now on. Returns what stop would have.
    template <class Rep, class Period>
    bool reset(std::chrono::duration<Rep, Period> d) const {
        return detail::reset_timer(timer_.get(), detail::saturate_ns(d));
    }

  private:
    explicit timer(detail::timed_ref t) noexcept : c(t.channel()), timer_(std::move(t)) {}
    timer(std::nullptr_t, detail::timed_ref t) noexcept : timer_(std::move(t)) {}
    template <class Rep, class Period, class F>
        requires std::invocable<std::decay_t<F>&>
    friend timer after_func(std::chrono::duration<Rep, Period> d, F&& f);

    detail::timed_ref timer_;
};

// Sends the time again and again. A tick that nobody has received when the next is due is the last
// until then: slow receivers miss some. A period that is not positive: throws panic.
struct ticker {
    template <class Rep, class Period>
    explicit ticker(std::chrono::duration<Rep, Period> period)
        : ticker(detail::timed_ref(detail::make_ticker(detail::saturate_ns(period)))) {}

    recv_chan<clock::time_point> c;

    // No more ticks. The channel is not closed.
    void stop() const { detail::stop_ticker(timer_.get()); }
    // The next tick comes after the new period, also if it was stopped.
    template <class Rep, class Period>
    void reset(std::chrono::duration<Rep, Period> period) const {
        detail::reset_ticker(timer_.get(), detail::saturate_ns(period));
    }

  private:
    explicit ticker(detail::timed_ref t) noexcept : c(t.channel()), timer_(std::move(t)) {}

    detail::timed_ref timer_;
};

// timer(d).c
template <class Rep, class Period>
[[nodiscard]] recv_chan<clock::time_point> after(std::chrono::duration<Rep, Period> d) {
    return detail::chan_access::receiver<clock::time_point>(
        detail::make_timer(detail::saturate_ns(d)));
}

// ticker(period).c, but nil if the period is not positive.
template <class Rep, class Period>
[[nodiscard]] recv_chan<clock::time_point> tick(std::chrono::duration<Rep, Period> period) {
    const std::int64_t ns = detail::saturate_ns(period);
    if (ns <= 0) return nullptr;
    return detail::chan_access::receiver<clock::time_point>(detail::make_ticker(ns));
}

// Calls f() after a duration, in a goroutine of its own, and after every reset again: perhaps while
// an earlier call runs still. Dropping the handle stops nothing; f is destroyed when neither a
// handle is left nor a call, one that is running or one to come. After the end of the run none is
// to come: then it is destroyed by who ends the run.
template <class Rep, class Period, class F>
    requires std::invocable<std::decay_t<F>&>
[[gnu::noinline]] timer after_func(std::chrono::duration<Rep, Period> d, F&& f) {
    using function = std::decay_t<F>;
    auto owned = std::make_unique<function>(std::forward<F>(f));
    detail::timed_ref t(detail::make_timed_call(
        detail::saturate_ns(d),
        {.function = owned.get(),
         .destroy = [](void* p) noexcept { delete static_cast<function*>(p); },
         .start = &detail::start_timed_call<function>,
         .created_at = __builtin_return_address(0)}));
    owned.release();
    return timer(nullptr, std::move(t));
}

}  // namespace pirn
