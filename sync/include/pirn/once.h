// SPDX-License-Identifier: MIT
// once: something that is done one time, whoever comes first; and functions that are called once.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>

#include <pirn/counted_ref.h>
#include <pirn/outcome.h>
#include <pirn/runtime.h>
#include <pirn/word.h>

namespace pirn {

// Four bytes; usable as a global before main. It is done as soon as the first function has been
// left, by an exception or goexit too. What happened before that is visible after every call.
// A call from inside of its own function waits for itself, for ever.
//
// It may be destroyed as soon as a call has returned to its destroyer, also while the call that
// ran the function is still inside. Destroying it while somebody waits for the function is fatal.
class once {
  public:
    constexpr once() noexcept = default;
    once(const once&) = delete;
    once& operator=(const once&) = delete;
    constexpr ~once() {
        // Relaxed: whoever used it did so before. It is done before any call has returned.
        if (!__builtin_is_constant_evaluated() &&
            state_.load(std::memory_order_relaxed) == k_awaited)
            destroy_slow();
    }

    // Runs f if this is the first call; else blocks until that one's function is done. What f
    // throws leaves this call only.
    template <class F>
    void call(F&& f) {
        if (done()) [[likely]]
            return;
        if (!begin()) return;
        struct at_end {
            once* self;
            ~at_end() { self->end(); }
        } finally{this};
        std::invoke(std::forward<F>(f));
    }
    // Whether it is done.
    bool done() const noexcept {
        // ORD(once): acquire; pairs with the releases in end.
        return state_.load(std::memory_order_acquire) == k_done;
    }

  private:
    enum : std::uint32_t { k_fresh, k_running, k_awaited, k_done };
    // True: the caller is the first. Else blocks until it is done.
    bool begin();
    void end() noexcept;
    void destroy_slow() const;

    friend struct once_access;
    // See once.cc.
    detail::word<std::uint32_t> state_{k_fresh};
};

namespace detail {

// What the copies of a once_function share.
template <class F, class R>
struct once_state {
    explicit once_state(F&& function) : f(std::move(function)) {}
    explicit once_state(const F& function) : f(function) {}

    ref_count refs;
    once first;
    std::optional<F> f;
    outcome<R> result;
};

}  // namespace detail

// What once_func and once_value return: calls its function the first time and gives what came of
// that each time. Copies share it; any of them may be called from anywhere at the same time.
template <class F>
class once_function {
    using result = std::invoke_result_t<F>;
    using state = detail::once_state<F, result>;

  public:
    template <class G>
        requires(!std::is_same_v<std::remove_cvref_t<G>, once_function>)
    explicit once_function(G&& f) : state_(new state(std::forward<G>(f))) {}

    // Returns a const reference to the value, which lives as long as a copy of this; what f
    // returned, where that is a reference or void. What f threw is thrown each time, the same
    // object. If f called goexit, later calls throw panic.
    typename detail::outcome<result>::look_type operator()() const {
        state& s = *state_;
        s.first.call([&s] {
            // What f holds on to is not needed any more.
            struct at_end {
                std::optional<F>& f;
                ~at_end() { f.reset(); }
            } finally{s.f};
            s.result.run([&s]() -> result { return std::invoke(std::move(*s.f)); });
        });
        if (s.result.empty()) throw panic("sync: the function of a once_func called goexit");
        return s.result.look();
    }

  private:
    detail::counted_ref<state> state_;
};

// A function that calls f once, however often and from wherever it is called.
template <class F>
[[nodiscard]] auto once_func(F&& f) {
    static_assert(std::is_void_v<std::invoke_result_t<std::decay_t<F>>>,
                  "pirn::once_func: f returns nothing; once_value keeps what it returns");
    return once_function<std::decay_t<F>>(std::forward<F>(f));
}
// The same for an f that returns something.
template <class F>
[[nodiscard]] auto once_value(F&& f) {
    static_assert(!std::is_void_v<std::invoke_result_t<std::decay_t<F>>>,
                  "pirn::once_value: f returns a value; once_func is for one that does not");
    return once_function<std::decay_t<F>>(std::forward<F>(f));
}

}  // namespace pirn
