// SPDX-License-Identifier: MIT
// C++20 coroutines that wait on channels, beside goroutines and threads that do.
//
//     auto ch = pirn::via(channel, [&](auto resume) { boost::asio::post(io, resume); });
//     while (std::optional<int> v = co_await ch.recv()) co_await ch.send(*v + 1);
//
// A coroutine takes its place in the channel's queue as everybody does. Whoever completes its
// operation gives the executor a `resumption`, a function object of one pointer, to be called once,
// where the coroutine is to go on. The executor is called on the other side's goroutine or thread,
// or on a goroutine of its own where a timer's channel is received from: it should only pass the
// resumption on. It may call it at once, and then the coroutine goes on right there. It may not
// throw: that is std::terminate.
//
// A coroutine may be destroyed while it waits, and takes nothing then; but not while another side
// may be completing its operation: what is posted by then would resume what is gone.
#pragma once

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <optional>
#include <type_traits>
#include <utility>

#include <pirn/chan.h>
#include <pirn/chan_transit.h>

namespace pirn {
namespace detail {

// A coroutine's place in a queue, for the core.
struct await_record {
    void (*post)(await_record*) noexcept = nullptr;    // hands the resumption to the executor
    void (*resume)(await_record*) = nullptr;           // what the resumption does
    // The core's own.
    alignas(void*) std::byte waiting[96];
};

// As send and recv; empty: the record waits, and may be posted before the call returns. The caller
// holds a handle while it does.
recv_status await_send(hchan* c, void* value, await_record& r);
recv_status await_recv(hchan* c, void* storage, await_record& r);
// Once it was posted: whether a value went.
bool await_succeeded(const await_record& r) noexcept;
// Takes the record off the queue if it waits still. True: it did not, and a value went.
bool await_abandon(hchan* c, await_record& r) noexcept;
[[noreturn]] void await_found_closed();

}  // namespace detail

// A coroutine's way to go on. To be called exactly once, from anywhere; it returns when the
// coroutine waits again or has ended, and throws what that lets out.
class resumption {
  public:
    explicit resumption(detail::await_record& r) noexcept : record_(&r) {}
    void operator()() const { record_->resume(record_); }

  private:
    detail::await_record* record_;
};

// Takes a resumption and has it called. Copied for each wait: std::ref(e) for what is no value.
template <class E>
concept resumption_executor = std::copy_constructible<E> && std::invocable<E&, resumption>;

namespace detail {

// What the two directions have in common. Derived has `bool wait()`, which begins the operation or
// goes on with it, and is false where it is over; and `bool woken()`: whether it is over by now.
template <class Derived, class Executor>
class channel_awaiter : public await_record, protected chan_ref {
  public:
    channel_awaiter(const chan_ref& c, const Executor& e) : chan_ref(c), executor_(e) {}
    channel_awaiter(const channel_awaiter&) = delete;
    channel_awaiter& operator=(const channel_awaiter&) = delete;

    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> h) {
        waiting_ = h;
        post = [](await_record* r) noexcept {
            // It may resume the coroutine at once, which is the end of the awaiter.
            Executor executor(static_cast<channel_awaiter*>(r)->executor_);
            executor(resumption(*r));
        };
        resume = [](await_record* r) {
            auto* self = static_cast<channel_awaiter*>(r);
            if (static_cast<Derived*>(self)->woken()) self->waiting_.resume();
        };
        return static_cast<Derived*>(this)->wait();
    }

  private:
    Executor executor_;
    std::coroutine_handle<> waiting_;
};

template <class T>
struct awaited_slot {
    using type = typename arrival<T>::in_slot;
};
template <>
struct awaited_slot<void> {
    using type = char;
};

template <class T, class Executor>
class recv_awaiter : public channel_awaiter<recv_awaiter<T, Executor>, Executor> {
    using base = channel_awaiter<recv_awaiter<T, Executor>, Executor>;

  public:
    using base::base;
    ~recv_awaiter() {
        // What came for a coroutine that is gone goes with it.
        if (waits_) has_value_ = await_abandon(this->c_, *this);
        if constexpr (!std::is_void_v<T>) {
            if (has_value_ && elem<T>::ops.destroy != nullptr) elem<T>::ops.destroy(&slot_.value);
        }
    }

    // As chan's recv: an optional, which is empty when the channel is closed and drained; a bool
    // for chan<void>. Should T's move constructor throw, the value is the first in the channel
    // again.
    auto await_resume() {
        const bool received = std::exchange(has_value_, false);
        if constexpr (std::is_void_v<T>) {
            return received;
        } else {
            if (!received) return std::optional<T>();
            return arrival<T>::hand_over(this->c_, &slot_.value, [](T&& value) {
                return std::optional<T>(std::move(value));
            });
        }
    }

    bool wait() {
        do {
            waits_ = true;
            const recv_status status = await_recv(this->c_, &slot_.value, *this);
            if (status == recv_status::empty) return true;
            waits_ = false;
            has_value_ = status == recv_status::ok;
        } while (!settle());
        return false;
    }
    bool woken() {
        waits_ = false;
        has_value_ = await_succeeded(*this);
        return settle() || !wait();
    }

  private:
    // False: there was no value after all.
    bool settle() {
        if constexpr (!std::is_void_v<T>) {
            if (has_value_ && !arrival<T>::settle(&slot_.value)) return has_value_ = false;
        }
        return true;
    }

    raw_slot<typename awaited_slot<T>::type> slot_;
    bool waits_ = false;
    bool has_value_ = false;
};

template <class T, class Executor>
class send_awaiter : public channel_awaiter<send_awaiter<T, Executor>, Executor> {
    using base = channel_awaiter<send_awaiter<T, Executor>, Executor>;

  public:
    template <class... From>
    send_awaiter(const chan_ref& c, const Executor& e, From&&... from)
        : base(c, e), value_(std::forward<From>(from)...) {}
    ~send_awaiter() {
        if (waits_ && await_abandon(this->c_, *this)) value_.sent();
    }

    // Throws panic "send on closed channel".
    void await_resume() const {
        if (!sent_) await_found_closed();
    }

    bool wait() {
        waits_ = true;
        if (await_send(this->c_, value_.element(), *this) == recv_status::empty) return true;
        waits_ = false;
        finish(true);
        return false;
    }
    bool woken() {
        waits_ = false;
        finish(await_succeeded(*this));
        return true;
    }

  private:
    void finish(bool sent) noexcept {
        sent_ = sent;
        if (sent) value_.sent();
    }

    departure<T, T> value_;
    bool waits_ = false;
    bool sent_ = false;
};

}  // namespace detail

// A channel as coroutines use it: the handle and where they go on. A value, as cheap to copy as
// both.
template <class T, class Handle, class Executor>
class coro_chan : public Handle {
  public:
    coro_chan(Handle h, Executor e) : Handle(std::move(h)), executor_(std::move(e)) {}

    // co_await gives what the handle's recv() returns. Nil: never goes on.
    [[nodiscard]] auto recv() const
        requires requires(const Handle& h) { h.recv(); }
    {
        return detail::recv_awaiter<T, Executor>(*this, executor_);
    }
    // The value is in the awaiter until a receiver or the buffer has taken it, and ends with it
    // where nobody did.
    template <class From = T>
    [[nodiscard]] auto send(From&& value) const
        requires(!std::is_void_v<T> && std::constructible_from<T, From> &&
                 requires(const Handle& h) { h.close(); })
    {
        return detail::send_awaiter<T, Executor>(*this, executor_, std::forward<From>(value));
    }
    [[nodiscard]] auto send() const
        requires(std::is_void_v<T> && requires(const Handle& h) { h.close(); })
    {
        return detail::send_awaiter<T, Executor>(*this, executor_);
    }

  private:
    Executor executor_;
};

// The same channel for coroutines, which go on where `executor` says.
template <class T, resumption_executor Executor>
[[nodiscard]] coro_chan<T, chan<T>, Executor> via(chan<T> c, Executor executor) {
    return {std::move(c), std::move(executor)};
}
template <class T, resumption_executor Executor>
[[nodiscard]] coro_chan<T, send_chan<T>, Executor> via(send_chan<T> c, Executor executor) {
    return {std::move(c), std::move(executor)};
}
template <class T, resumption_executor Executor>
[[nodiscard]] coro_chan<T, recv_chan<T>, Executor> via(recv_chan<T> c, Executor executor) {
    return {std::move(c), std::move(executor)};
}

}  // namespace pirn
