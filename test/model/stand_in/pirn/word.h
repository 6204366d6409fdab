// SPDX-License-Identifier: MIT
// Stands in for the library's <pirn/word.h> in a build with PIRN_MODEL: its folder comes first on
// the include path, so that the inline paths of the primitives are steps of the explorer's, too.
#pragma once

#include "test/model/atomic.h"

namespace pirn::model {

// Called after each access to a word.
inline void (*on_touch)(const void* word) = nullptr;

}  // namespace pirn::model

namespace pirn::detail {

template <class T>
class word : base::atomic<T> {
    using atomic = base::atomic<T>;
    using order = std::memory_order;

  public:
    using atomic::atomic;
    using atomic::name;

    T load(order o, const char* where = __builtin_FUNCTION()) const {
        return touched(atomic::load(o, where));
    }
    void store(T value, order o, const char* where = __builtin_FUNCTION()) {
        atomic::store(value, o, where);
        touched(true);
    }
    T exchange(T value, order o, const char* where = __builtin_FUNCTION()) {
        return touched(atomic::exchange(value, o, where));
    }
    bool compare_exchange(T& expected, T desired, order success, order failure,
                          const char* where = __builtin_FUNCTION()) {
        return touched(atomic::compare_exchange(expected, desired, success, failure, where));
    }
    bool compare_exchange_weak(T& expected, T desired, order success, order failure,
                               const char* where = __builtin_FUNCTION()) {
        return compare_exchange(expected, desired, success, failure, where);
    }

    T fetch_add(T n, order o, const char* where = __builtin_FUNCTION()) {
        return touched(atomic::fetch_add(n, o, where));
    }
    T fetch_sub(T n, order o, const char* where = __builtin_FUNCTION()) {
        return touched(atomic::fetch_sub(n, o, where));
    }

  private:
    template <class Result>
    Result touched(Result r) const {
        if (model::on_touch != nullptr) model::on_touch(this);
        return r;
    }
};

}  // namespace pirn::detail
