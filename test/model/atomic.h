// SPDX-License-Identifier: MIT
// What runtime/base/atomic.h gives in a build with PIRN_MODEL: the same types, each access of which
// is a step of the explorer's.
#pragma once

#include <atomic>
#include <cstdint>
#include <type_traits>

#include "test/support/explorer.h"

namespace pirn::base {

using std::memory_order;

template <class T>
class atomic {
  public:
    constexpr atomic() : atomic(T{}) {}
    // A global one has no location: each scenario makes it anew in its place.
    constexpr explicit atomic(T value)
        : location_(std::is_constant_evaluated() ? -1
                                                 : model::new_location(model::to_word(value))) {}
    atomic(const atomic&) = delete;
    atomic& operator=(const atomic&) = delete;

    // For the steps that a failure shows.
    void name(const char* name) { model::name_location(location_, name); }

    T load(memory_order order, const char* where = __builtin_FUNCTION()) const {
        return model::from_word<T>(model::load(location_, order, where));
    }
    void store(T value, memory_order order, const char* where = __builtin_FUNCTION()) {
        model::store(location_, model::to_word(value), order, where);
    }
    T exchange(T value, memory_order order, const char* where = __builtin_FUNCTION()) {
        return modify(model::change::exchange, value, order, where);
    }
    bool compare_exchange(T& expected, T desired, memory_order success, memory_order failure,
                          const char* where = __builtin_FUNCTION()) {
        std::uint64_t word = model::to_word(expected);
        const bool done = model::compare_exchange(location_, word, model::to_word(desired), success,
                                                  failure, where);
        expected = model::from_word<T>(word);
        return done;
    }
    bool compare_exchange_weak(T& expected, T desired, memory_order success, memory_order failure,
                               const char* where = __builtin_FUNCTION()) {
        return compare_exchange(expected, desired, success, failure, where);
    }
    T fetch_add(T n, memory_order order, const char* where = __builtin_FUNCTION()) {
        return modify(model::change::add, n, order, where);
    }
    T fetch_sub(T n, memory_order order, const char* where = __builtin_FUNCTION()) {
        return modify(model::change::sub, n, order, where);
    }
    T fetch_or(T n, memory_order order, const char* where = __builtin_FUNCTION()) {
        return modify(model::change::bit_or, n, order, where);
    }
    T fetch_and(T n, memory_order order, const char* where = __builtin_FUNCTION()) {
        return modify(model::change::bit_and, n, order, where);
    }
    void add_single_writer(T n, const char* where = __builtin_FUNCTION()) {
        store(load(std::memory_order_relaxed, where) + n, std::memory_order_relaxed, where);
    }

  private:
    T modify(model::change how, T operand, memory_order order, const char* where) {
        constexpr std::uint64_t k_mask = ~std::uint64_t{0} >> (64 - 8 * sizeof(T));
        return model::from_word<T>(
            model::modify(location_, how, model::to_word(operand), k_mask, order, where));
    }

    int location_;
};

template <class T>
class relaxed_ptr {
  public:
    T* get() const { return value_.load(std::memory_order_relaxed); }
    operator T*() const { return get(); }
    T* operator->() const { return get(); }
    relaxed_ptr& operator=(T* p) {
        value_.store(p, std::memory_order_relaxed);
        return *this;
    }

  private:
    atomic<T*> value_;
};

inline void fence(memory_order order, const char* where = __builtin_FUNCTION()) {
    model::fence(order, where);
}

}  // namespace pirn::base
