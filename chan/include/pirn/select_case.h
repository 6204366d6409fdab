// SPDX-License-Identifier: MIT
// The cases of a select: thin templates that say where a value comes from and where it goes, and
// the untyped core that chooses among them. Included by <pirn/select.h>; users name nothing of it.
//
// A case enters a record for the core: its channel, and where the value is to be taken from or put.
// All receiving cases of a select share one slot, because one of them is chosen at most. The chosen
// case then finishes: it hands the value over and calls its handler.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

#include <pirn/chan.h>
#include <pirn/chan_transit.h>

namespace pirn::detail {

// One case, for the core.
struct select_entry {
    hchan* c = nullptr;      // nullptr: never ready
    void* elem = nullptr;    // sends: the value; else: raw memory for it
    bool sends = false;
    // The core's own.
    std::uint32_t seen;
    alignas(void*) std::byte waiting[80];
};

// Blocks until a case can go on, does what it says, and sets `index` to it. True: a value went.
// False: a receive found the end. A send that finds the channel closed throws, with `index` set.
// `otherwise`: the index that is given at once where no case can go on; -1: there is none.
bool select_among(select_entry* entries, int count, int otherwise, int& index);
[[noreturn]] void select_no_cases();

// The base of all cases. One belongs to the select that it is written in, and is no variable.
struct any_case {
    any_case() = default;
    any_case(const any_case&) = delete;
    any_case& operator=(const any_case&) = delete;
};

// Says that a case is made of another one, for a select_case.
struct take_over {};

template <class C>
concept select_clause = std::derived_from<C, any_case>;

// What a handle's channel carries, as std::type_identity.
template <class T>
std::type_identity<T> received_from(const chan<T>&);
template <class T>
std::type_identity<T> received_from(const recv_chan<T>&);
template <class T>
std::type_identity<T> sent_to(const chan<T>&);
template <class T>
std::type_identity<T> sent_to(const send_chan<T>&);
template <class Ch>
using received_t = typename decltype(received_from(std::declval<const Ch&>()))::type;
template <class Ch>
using received_object_t =
    std::enable_if_t<!std::is_void_v<received_t<Ch>>, received_t<Ch>>;
template <class Ch>
using sent_t = typename decltype(sent_to(std::declval<const Ch&>()))::type;

// In place of a handler.
struct no_handler {
    void operator()() const noexcept {}
};

// Whether F takes what is received from a channel of T.
template <class F, class T>
struct handles : std::is_invocable<F&, std::optional<T>> {};
template <class F>
struct handles<F, void> : std::is_invocable<F&, bool> {};

// on_recv. Sink: no_handler, a handler (or a reference to one), or std::optional<T>&.
template <class T, class Sink>
class recv_case : public any_case {
  public:
    using owned = recv_case<T, std::conditional_t<std::is_same_v<Sink, std::optional<T>&>, Sink,
                                                  std::decay_t<Sink>>>;
    using in_slot = typename arrival<T>::in_slot;
    static constexpr bool k_otherwise = false;

    recv_case(hchan* c, Sink&& sink) : c_(c), sink_(std::forward<Sink>(sink)) {}
    template <class Other>
    recv_case(take_over, recv_case<T, Other>&& other)
        : c_(other.c_), sink_(std::forward<Other>(other.sink_)) {}
    ~recv_case() {
        if (held_) hchan_release(c_);
    }

    hchan* channel() const noexcept { return c_; }

    void enter(select_entry& e, void* slot) noexcept {
        e.c = c_;
        e.elem = slot;
        // The value may have to be given back when the handle is gone.
        if constexpr (k_boxed<T>) {
            if (!std::exchange(held_, true)) hchan_retain(c_);
        }
    }

    // False: there was no value after all, and the select begins anew.
    bool finish(void* slot, bool ok) {
        if (ok && !arrival<T>::settle(slot)) return false;
        if constexpr (std::is_same_v<Sink, no_handler>) {
            if (ok) arrival<T>::drop(slot);
        } else if constexpr (std::is_same_v<Sink, std::optional<T>&>) {
            if (ok)
                arrival<T>::hand_over(c_, slot, [this](T&& v) { sink_.emplace(std::move(v)); });
            else
                sink_.reset();
        } else {
            // Made in the handler's parameter: a move from there would not be ours to undo.
            sink_(take(slot, ok));
        }
        return true;
    }

  private:
    std::optional<T> take(void* slot, bool ok) {
        if (!ok) return std::nullopt;
        return arrival<T>::hand_over(c_, slot,
                                     [](T&& v) { return std::optional<T>(std::move(v)); });
    }

    hchan* c_;
    bool held_ = false;
    Sink sink_;
    template <class, class>
    friend class recv_case;
};

template <class Sink>
class recv_case<void, Sink> : public any_case {
  public:
    using owned = recv_case<void, std::decay_t<Sink>>;
    using in_slot = char;
    static constexpr bool k_otherwise = false;

    recv_case(hchan* c, Sink&& sink) : c_(c), sink_(std::forward<Sink>(sink)) {}
    template <class Other>
    recv_case(take_over, recv_case<void, Other>&& other)
        : c_(other.c_), sink_(std::forward<Other>(other.sink_)) {}

    hchan* channel() const noexcept { return c_; }
    void enter(select_entry& e, void* slot) noexcept {
        e.c = c_;
        e.elem = slot;
    }
    bool finish(void*, bool ok) {
        if constexpr (!std::is_same_v<Sink, no_handler>) sink_(ok);
        return true;
    }

  private:
    hchan* c_;
    [[no_unique_address]] Sink sink_;
    template <class, class>
    friend class recv_case;
};

// on_send. Kept: T, T& or void; see departure.
template <class T, class Kept, class Handler>
class send_case : public any_case {
  public:
    using owned = send_case<T, std::remove_reference_t<Kept>, std::decay_t<Handler>>;
    using in_slot = char;
    static constexpr bool k_otherwise = false;

    template <class... From>
    send_case(hchan* c, Handler&& handler, From&&... from)
        : c_(c), value_(std::forward<From>(from)...), handler_(std::forward<Handler>(handler)) {}
    template <class OtherKept, class OtherHandler>
    send_case(take_over, send_case<T, OtherKept, OtherHandler>&& other)
        : c_(other.c_), value_(other.value_.give()),
          handler_(std::forward<OtherHandler>(other.handler_)) {}

    hchan* channel() const noexcept { return c_; }
    void enter(select_entry& e, void*) {
        e.c = c_;
        e.elem = value_.element();
        e.sends = true;
    }
    bool finish(void*, bool) {
        value_.sent();
        handler_();
        return true;
    }

  private:
    hchan* c_;
    departure<T, Kept> value_;
    [[no_unique_address]] Handler handler_;
    template <class, class, class>
    friend class send_case;
};

// otherwise.
template <class Handler>
class otherwise_case : public any_case {
  public:
    using owned = otherwise_case<std::decay_t<Handler>>;
    using in_slot = char;
    static constexpr bool k_otherwise = true;

    explicit otherwise_case(Handler&& handler) : handler_(std::forward<Handler>(handler)) {}
    template <class Other>
    otherwise_case(take_over, otherwise_case<Other>&& other)
        : handler_(std::forward<Other>(other.handler_)) {}

    hchan* channel() const noexcept { return nullptr; }
    void enter(select_entry&, void*) noexcept {}
    bool finish(void*, bool) {
        handler_();
        return true;
    }

  private:
    [[no_unique_address]] Handler handler_;
    template <class>
    friend class otherwise_case;
};

// A case that stands for itself, with what it needs: what a select_case points to.
struct erased_case {
    virtual ~erased_case() = default;
    virtual bool is_otherwise() const noexcept = 0;
    virtual void enter(select_entry& e) = 0;
    virtual bool finish(bool ok) = 0;
};

template <class Case>
class owned_case final : public erased_case {
  public:
    template <class From>
    explicit owned_case(From&& from) : hold_(from.channel()), case_(take_over{}, std::move(from)) {}
    bool is_otherwise() const noexcept override { return Case::k_otherwise; }
    void enter(select_entry& e) override { case_.enter(e, slot_); }
    bool finish(bool ok) override { return case_.finish(slot_, ok); }

  private:
    using in_slot = typename Case::in_slot;
    struct reference {
        hchan* c;
        explicit reference(hchan* counted) noexcept : c(counted) { hchan_retain(c); }
        ~reference() { hchan_release(c); }
        reference(const reference&) = delete;
        reference& operator=(const reference&) = delete;
    };

    reference hold_;
    Case case_;
    alignas(in_slot) std::byte slot_[sizeof(in_slot)];
};

}  // namespace pirn::detail
