// SPDX-License-Identifier: MIT
// The atomic word of an object whose fast path is inline: what runtime/base/atomic.h, which is not
// installed, is to the sources.
#pragma once

#include <atomic>

namespace pirn::detail {

// std::atomic without default orders, so that every order is written at the call.
template <class T>
class word {
  public:
    constexpr word() noexcept : value_{} {}
    constexpr explicit word(T value) noexcept : value_(value) {}
    word(const word&) = delete;
    word& operator=(const word&) = delete;

    T load(std::memory_order order) const noexcept { return value_.load(order); }
    void store(T value, std::memory_order order) noexcept { value_.store(value, order); }
    T exchange(T value, std::memory_order order) noexcept { return value_.exchange(value, order); }
    bool compare_exchange(T& expected, T desired, std::memory_order success,
                          std::memory_order failure) noexcept {
        return value_.compare_exchange_strong(expected, desired, success, failure);
    }
    bool compare_exchange_weak(T& expected, T desired, std::memory_order success,
                               std::memory_order failure) noexcept {
        return value_.compare_exchange_weak(expected, desired, success, failure);
    }
    T fetch_add(T n, std::memory_order order) noexcept { return value_.fetch_add(n, order); }
    T fetch_sub(T n, std::memory_order order) noexcept { return value_.fetch_sub(n, order); }

  private:
    std::atomic<T> value_;
    static_assert(std::atomic<T>::is_always_lock_free);
};

}  // namespace pirn::detail
