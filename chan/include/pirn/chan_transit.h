// SPDX-License-Identifier: MIT
// A value's way into and out of an operation that takes several steps: a select's case, or a
// coroutine that waits. Included by <pirn/select.h> and <pirn/coro.h>; users name nothing of it.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <utility>

#include <pirn/chan_elem.h>

namespace pirn::detail {

// The slot of a receive, from the moment when the core has put a value there.
template <class T, bool Boxed = k_boxed<T>>
struct arrival {
    using in_slot = T;
    // Whether there is a value.
    static bool settle(void*) noexcept { return true; }
    template <class Use>
    static decltype(auto) hand_over(hchan*, void* slot, Use use) {
        T& value = *static_cast<T*>(slot);
        const destroy_at_end<T> end{value};
        return use(std::move(value));
    }
    static void drop(void* slot) noexcept { static_cast<T*>(slot)->~T(); }
};

template <class T>
struct arrival<T, true> {
    using in_slot = void*;
    using box = typename elem<T>::box;
    // May block, for as long as the sender moves the value.
    static bool settle(void* slot) {
        void* value = *static_cast<void**>(slot);
        if (box_wait(value, alignof(T))) [[likely]]
            return true;
        box_free(value, alignof(T));
        return false;
    }
    // Should the move out throw, the value is the first in the channel again.
    template <class Use>
    static decltype(auto) hand_over(hchan* c, void* slot, Use use) {
        box b(*static_cast<void**>(slot), true);
        try {
            return use(std::move(*b.object()));
        } catch (...) {
            hchan_give_back(c, std::exchange(b.value, nullptr), alignof(T));
            throw;
        }
    }
    static void drop(void* slot) noexcept { const box b(*static_cast<void**>(slot), true); }
};

// The value of a send: T& where the caller's own is moved from, T where the operation has it.
template <class T, class Kept, bool Boxed = k_boxed<T>>
class departure {
  public:
    template <class From>
    explicit departure(From&& from) : value_(std::forward<From>(from)) {}
    T&& give() noexcept { return std::move(value_); }
    void* element() noexcept { return std::addressof(value_); }
    void sent() noexcept {}

  private:
    Kept value_;
};

// In a box from the beginning, which the core moves by its address.
template <class T>
class departure<T, T, true> {
  public:
    template <class From>
    explicit departure(From&& from) : box_(box_make(sizeof(T), alignof(T), true), false) {
        box_.fill(std::forward<From>(from));
    }
    explicit departure(departure<T, T, true>&& other) noexcept
        : box_(std::exchange(other.box_.value, nullptr), true) {}
    departure&& give() noexcept { return std::move(*this); }
    void* element() noexcept { return &box_.value; }
    void sent() noexcept { box_.value = nullptr; }

  private:
    typename elem<T>::box box_;
};

// An empty box is sent, and filled once the channel has it: the caller's value stays until then.
template <class T>
class departure<T, T&, true> {
  public:
    explicit departure(T& value) noexcept : box_(nullptr, false), value_(value) {}
    T&& give() noexcept { return std::move(value_); }
    void* element() {
        if (box_.value == nullptr) box_.value = box_make(sizeof(T), alignof(T), false);
        return &box_.value;
    }
    void sent() {
        void* const box = std::exchange(box_.value, nullptr);
        try {
            ::new (box) T(std::move(value_));
        } catch (...) {
            box_settle(box, alignof(T), false);
            throw;
        }
        box_settle(box, alignof(T), true);
    }

  private:
    typename elem<T>::box box_;
    T& value_;
};

// chan<void>: one byte that nobody reads.
template <>
class departure<void, void, false> {
  public:
    departure&& give() noexcept { return std::move(*this); }
    void* element() noexcept { return this; }
    void sent() noexcept {}
};

}  // namespace pirn::detail
