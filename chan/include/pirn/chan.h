// SPDX-License-Identifier: MIT
// Channels: typed queues between goroutines, and between them and any thread.
//
// A chan<T> is a reference, as in Go: its copies name the same channel, and the channel lives until
// the last of them is gone. What is still queued then is destroyed; a channel that is queued in
// itself keeps itself alive. A default-constructed handle names no channel (nil).
//
// Every operation may be called from goroutines and threads at the same time. Distinct handles of
// one channel are independent objects; one handle is shared like every C++ object: const
// operations at the same time are right, assigning to it meanwhile is a race.
//
// What happens before a send is visible to the receive that takes its value. On an unbuffered
// channel also: what happens before the receive is visible after the send. With a capacity of C:
// the k-th receive happens before the (k + C)-th send returns. close happens before a receive that
// returns because of it.
#pragma once

#include <compare>
#include <concepts>
#include <cstddef>
#include <iterator>
#include <optional>
#include <type_traits>
#include <utility>

#include <pirn/chan_elem.h>

namespace pirn {

template <class T>
class chan;
template <class T>
class send_chan;
template <class T>
class recv_chan;

namespace detail {

// One counted reference to a channel, or none; what the three handles have in common.
class chan_ref {
  public:
    // The number of values in the buffer; 0 for nil, and for an unbuffered channel.
    std::size_t len() const noexcept { return hchan_len(c_); }
    // The buffer's size; 0 for nil.
    std::size_t cap() const noexcept { return hchan_cap(c_); }
    // False for nil.
    explicit operator bool() const noexcept { return c_ != nullptr; }

  protected:
    constexpr chan_ref() noexcept = default;
    // Takes over a reference that was counted already.
    explicit chan_ref(hchan* counted) noexcept : c_(counted) {}
    chan_ref(const chan_ref& other) noexcept : c_(other.c_) { hchan_retain(c_); }
    chan_ref(chan_ref&& other) noexcept : c_(std::exchange(other.c_, nullptr)) {}
    chan_ref& operator=(const chan_ref& other) noexcept {
        hchan_retain(other.c_);
        hchan_release(std::exchange(c_, other.c_));
        return *this;
    }
    chan_ref& operator=(chan_ref&& other) noexcept {
        if (this != &other) hchan_release(std::exchange(c_, std::exchange(other.c_, nullptr)));
        return *this;
    }
    ~chan_ref() {
        if (c_ != nullptr) hchan_release(c_);
    }

    hchan* c_ = nullptr;
    friend struct chan_access;
};

// For the library itself (select, timers) and its tests.
struct chan_access {
    static hchan* of(const chan_ref& r) noexcept { return r.c_; }
    // Takes over a reference that was counted already.
    template <class T>
    static recv_chan<T> receiver(hchan* counted) noexcept {
        return recv_chan<T>(counted);
    }
};

// The sending half of a handle.
template <class T, class Base>
class sending : public Base {
  public:
    // Blocks until a receiver or the buffer has taken the value. Closed, before or meanwhile:
    // throws panic "send on closed channel". Nil: blocks for ever. Should T's constructor throw,
    // nothing was sent.
    void send(const T& value) const
        requires std::copy_constructible<T>
    {
        elem<T>::send_copy(this->c_, value);
    }
    void send(T&& value) const { elem<T>::send(this->c_, value); }
    // The same, but only until the context is done: its error then, and the value is as it was.
    until_done<void> send(const T& value, const cancellation& ctx) const
        requires std::copy_constructible<T>
    {
        return elem<T>::send_copy(this->c_, value, ctx);
    }
    until_done<void> send(T&& value, const cancellation& ctx) const {
        return elem<T>::send(this->c_, value, ctx);
    }

    // Sends if that is possible at once; false: it would block (or nil), and the value is as it
    // was. Closed: throws panic.
    bool try_send(const T& value) const
        requires std::copy_constructible<T>
    {
        return elem<T>::try_send_copy(this->c_, value);
    }
    bool try_send(T&& value) const { return elem<T>::try_send(this->c_, value); }

    // No value can be sent from now on: sends panic, also those that are blocked. Receives drain
    // the buffer and then report the end, also those that are blocked. Throws panic "close of
    // closed channel", and "close of nil channel". Never blocks.
    void close() const { hchan_close(this->c_); }

  protected:
    using Base::Base;
    sending() noexcept = default;
    explicit sending(const chan_ref& r) noexcept : Base(r) {}
    explicit sending(chan_ref&& r) noexcept : Base(std::move(r)) {}
};

template <class Base>
class sending<void, Base> : public Base {
  public:
    void send() const { elem<void>::send(this->c_); }
    until_done<void> send(const cancellation& ctx) const {
        return elem<void>::send(this->c_, ctx);
    }
    bool try_send() const { return elem<void>::try_send(this->c_); }
    void close() const { hchan_close(this->c_); }

  protected:
    using Base::Base;
    sending() noexcept = default;
    explicit sending(const chan_ref& r) noexcept : Base(r) {}
    explicit sending(chan_ref&& r) noexcept : Base(std::move(r)) {}
};

// Receives one value for each step; equal to std::default_sentinel once the channel is closed and
// drained. Holds a reference of its own, so that the loop's body may assign to the handle.
template <class T>
class chan_iterator : private chan_ref {
  public:
    using iterator_concept = std::input_iterator_tag;
    using value_type = T;
    using difference_type = std::ptrdiff_t;

    explicit chan_iterator(const chan_ref& r) : chan_ref(r), value_(elem<T>::recv(c_)) {}
    chan_iterator(chan_iterator&&) = default;
    chan_iterator& operator=(chan_iterator&&) = default;

    T& operator*() const { return *value_; }
    T* operator->() const { return &*value_; }
    // Blocks until there is a value or the end.
    chan_iterator& operator++() {
        value_.reset();
        elem<T>::recv_into(c_, value_);
        return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const chan_iterator& i, std::default_sentinel_t) {
        return !i.value_.has_value();
    }

  private:
    // Mutable, because reading through a const iterator gives T&, as the range concepts ask.
    mutable std::optional<T> value_;
};

// The receiving half of a handle.
template <class T, class Base>
class receiving : public Base {
  public:
    // Blocks until there is a value. nullopt exactly when the channel is closed and drained. Nil:
    // blocks for ever. Should T's move constructor throw, the value is back in the channel, first
    // in line.
    std::optional<T> recv() const { return elem<T>::recv(this->c_); }
    // The same, but only until the context is done; then its error.
    until_done<std::optional<T>> recv(const cancellation& ctx) const {
        return elem<T>::recv(this->c_, ctx);
    }

    // Receives if that is possible at once. `out` is written only for recv_status::ok. Nil: empty.
    recv_status try_recv(T& out) const
        requires std::is_move_assignable_v<T>
    {
        return elem<T>::try_recv(this->c_, out);
    }
    recv_status try_recv(std::optional<T>& out) const { return elem<T>::try_recv(this->c_, out); }

    // for (T& v : ch): receives until the channel is closed and drained.
    chan_iterator<T> begin() const { return chan_iterator<T>(*this); }
    std::default_sentinel_t end() const noexcept { return {}; }

  protected:
    using Base::Base;
    receiving() noexcept = default;
    explicit receiving(const chan_ref& r) noexcept : Base(r) {}
    explicit receiving(chan_ref&& r) noexcept : Base(std::move(r)) {}
};

template <class Base>
class receiving<void, Base> : public Base {
  public:
    // False exactly when the channel is closed and drained.
    bool recv() const { return elem<void>::recv(this->c_); }
    until_done<bool> recv(const cancellation& ctx) const { return elem<void>::recv(this->c_, ctx); }
    recv_status try_recv() const { return elem<void>::try_recv(this->c_); }

  protected:
    using Base::Base;
    receiving() noexcept = default;
    explicit receiving(const chan_ref& r) noexcept : Base(r) {}
    explicit receiving(chan_ref&& r) noexcept : Base(std::move(r)) {}
};

}  // namespace detail

// A channel of T, any movable type, which may be incomplete where only the handle is named.
// chan<void> carries no value: send(), bool recv(), try_send(), recv_status try_recv().
//
// A value is moved (or its moved-from rest destroyed) while the channel's lock is held, if T's
// moves are noexcept: they must not wait for anything nor use the channel. Types whose moves may
// throw, and very large ones, travel in an allocated box instead, and no code of theirs runs under
// the lock.
template <class T>
class chan : public detail::receiving<T, detail::sending<T, detail::chan_ref>> {
    using base = detail::receiving<T, detail::sending<T, detail::chan_ref>>;

  public:
    constexpr chan() noexcept = default;
    constexpr chan(std::nullptr_t) noexcept {}
    friend bool operator==(const chan& a, const chan& b) noexcept { return a.c_ == b.c_; }

  private:
    explicit chan(detail::hchan* counted) noexcept : base(counted) {}
    template <class U>
    friend chan<U> make_chan(std::size_t capacity);
};

// chan<- T: only sends and closes.
template <class T>
class send_chan : public detail::sending<T, detail::chan_ref> {
    using base = detail::sending<T, detail::chan_ref>;

  public:
    constexpr send_chan() noexcept = default;
    constexpr send_chan(std::nullptr_t) noexcept {}
    send_chan(const chan<T>& c) noexcept : base(static_cast<const detail::chan_ref&>(c)) {}
    send_chan(chan<T>&& c) noexcept : base(static_cast<detail::chan_ref&&>(c)) {}
    friend bool operator==(const send_chan& a, const send_chan& b) noexcept {
        return a.c_ == b.c_;
    }
};

// <-chan T: only receives.
template <class T>
class recv_chan : public detail::receiving<T, detail::chan_ref> {
    using base = detail::receiving<T, detail::chan_ref>;

  public:
    constexpr recv_chan() noexcept = default;
    constexpr recv_chan(std::nullptr_t) noexcept {}
    recv_chan(const chan<T>& c) noexcept : base(static_cast<const detail::chan_ref&>(c)) {}
    recv_chan(chan<T>&& c) noexcept : base(static_cast<detail::chan_ref&&>(c)) {}
    friend bool operator==(const recv_chan& a, const recv_chan& b) noexcept {
        return a.c_ == b.c_;
    }

  private:
    explicit recv_chan(detail::hchan* counted) noexcept : base(counted) {}
    friend struct detail::chan_access;
};

// A new channel whose buffer holds `capacity` values; 0: each send waits for its receiver. Throws
// panic "makechan: size out of range" for what no memory could hold (a negative number, too), and
// std::bad_alloc.
template <class T>
[[nodiscard]] chan<T> make_chan(std::size_t capacity = 0) {
    static_assert(std::is_void_v<T> || (std::is_object_v<T> && std::is_move_constructible_v<T> &&
                                        std::is_same_v<T, std::remove_cv_t<T>>),
                  "pirn::chan: T must be void or a movable type without const or volatile");
    return chan<T>(detail::hchan_make(detail::elem<T>::ops, capacity));
}

}  // namespace pirn

// Handles of one channel are equal and hash alike.
template <class T>
struct std::hash<pirn::chan<T>> {
    std::size_t operator()(const pirn::chan<T>& c) const noexcept {
        return std::hash<void*>()(pirn::detail::chan_access::of(c));
    }
};
