// SPDX-License-Identifier: MIT
// What a function returned or threw, kept for whoever asks. Users name nothing of it.
#pragma once

#include <cxxabi.h>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

namespace pirn::detail {

// Calls f, and keep(exception) with what leaves it. goexit is none of these: it passes.
template <class F, class Keep>
void call_and_keep(F&& f, Keep&& keep) {
    try {
        std::invoke(std::forward<F>(f));
    } catch (abi::__forced_unwind&) {
        throw;
    } catch (...) {
        keep(std::current_exception());
    }
}

template <class R>
class outcome {
    static constexpr bool k_void = std::is_void_v<R>;
    static constexpr bool k_reference = std::is_reference_v<R>;
    using slot = std::conditional_t<
        k_void, std::monostate,
        std::conditional_t<k_reference, std::remove_reference_t<R>*, std::remove_cv_t<R>>>;

  public:
    // False until run has returned: for ever, if f was left by goexit.
    bool empty() const { return !value_.has_value() && thrown_ == nullptr; }
    void fail(std::exception_ptr e) { thrown_ = std::move(e); }

    // Calls f and keeps what comes of it.
    template <class F>
    void run(F&& f) {
        call_and_keep(
            [&] {
                if constexpr (k_void) {
                    std::invoke(std::forward<F>(f));
                    value_.emplace();
                } else if constexpr (k_reference) {
                    // A named reference, as an rvalue one has no address.
                    auto&& result = std::invoke(std::forward<F>(f));
                    value_.emplace(std::addressof(result));
                } else {
                    value_.emplace(std::invoke(std::forward<F>(f)));
                }
            },
            [&](std::exception_ptr e) { thrown_ = std::move(e); });
    }

    // The value, moved out; or throws. Not on an empty one.
    R take() {
        if (thrown_ != nullptr) std::rethrow_exception(std::exchange(thrown_, nullptr));
        if constexpr (k_reference)
            return static_cast<R>(**value_);
        else if constexpr (!k_void)
            return std::move(*value_);
    }

    // The value where it is; or throws, the same exception each time. Not on an empty one.
    using look_type = std::conditional_t<k_void || k_reference, R, std::add_lvalue_reference_t<
                                                                       std::add_const_t<R>>>;
    look_type look() const {
        if (thrown_ != nullptr) std::rethrow_exception(thrown_);
        if constexpr (k_reference)
            return static_cast<R>(**value_);
        else if constexpr (!k_void)
            return *value_;
    }

  private:
    std::optional<slot> value_;
    std::exception_ptr thrown_;
};

}  // namespace pirn::detail
