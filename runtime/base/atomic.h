// SPDX-License-Identifier: MIT
// The project's only <atomic>: std::atomic without default orders, so that every order is written
// at the call, and replaceable as a whole by a model checker (PIRN_MODEL).
#pragma once

#ifdef PIRN_MODEL
#include "test/model/atomic.h"
#else

#include <atomic>

namespace pirn::base {

using std::memory_order;

template <class T>
class atomic {
  public:
    constexpr atomic() noexcept : value_{} {}
    constexpr explicit atomic(T value) noexcept : value_(value) {}
    atomic(const atomic&) = delete;
    atomic& operator=(const atomic&) = delete;

    T load(memory_order order) const noexcept { return value_.load(order); }
    void store(T value, memory_order order) noexcept { value_.store(value, order); }
    T exchange(T value, memory_order order) noexcept { return value_.exchange(value, order); }
    bool compare_exchange(T& expected, T desired, memory_order success,
                          memory_order failure) noexcept {
        return value_.compare_exchange_strong(expected, desired, success, failure);
    }
    bool compare_exchange_weak(T& expected, T desired, memory_order success,
                               memory_order failure) noexcept {
        return value_.compare_exchange_weak(expected, desired, success, failure);
    }
    T fetch_add(T n, memory_order order) noexcept { return value_.fetch_add(n, order); }
    T fetch_sub(T n, memory_order order) noexcept { return value_.fetch_sub(n, order); }
    T fetch_or(T n, memory_order order) noexcept { return value_.fetch_or(n, order); }
    T fetch_and(T n, memory_order order) noexcept { return value_.fetch_and(n, order); }

    // For a word with one writer: an increment without a locked instruction.
    void add_single_writer(T n) noexcept {
        value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }

    // The address for a futex; only for 32-bit types.
    T* address() noexcept { return reinterpret_cast<T*>(&value_); }

  private:
    std::atomic<T> value_;
    static_assert(std::atomic<T>::is_always_lock_free);
};

// A pointer that its owner reads and writes like a plain one, and others may look at: relaxed
// throughout, so what it points to needs another publication.
template <class T>
class relaxed_ptr {
  public:
    T* get() const noexcept { return value_.load(std::memory_order_relaxed); }
    operator T*() const noexcept { return get(); }
    T* operator->() const noexcept { return get(); }
    relaxed_ptr& operator=(T* p) noexcept {
        value_.store(p, std::memory_order_relaxed);
        return *this;
    }

  private:
    atomic<T*> value_;
};

inline void fence(memory_order order) noexcept { std::atomic_thread_fence(order); }

}  // namespace pirn::base

#endif
