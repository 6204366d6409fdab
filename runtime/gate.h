// SPDX-License-Identifier: MIT
// How a gate is made: the names it has, and how it calls the function that it stands in front of.
//
// A gate starts as a plain function (arch.h): without a check of the stack, so that its return
// address is the caller's, and calling functions by their own names, whatever the pass does. It
// must do with what a call of a small function may use (arch::k_reserve_bytes). What takes more
// goes on in an ordinary function, which may hop.
//
// It goes straight through where the limit of the stack is 0, as it is on threads that run no
// goroutine, on g0 and in signal handlers. The library's own calls go by other names and never
// come here: its code keeps its P in hand.
#pragma once

#include <cstddef>
#include <tuple>

#include "arch/arch.h"
#include "runtime/syscall.h"

// Attributes of the C library's declarations (nonnull, say) are no part of a type, and a gate's
// further names do not have them.
#pragma GCC diagnostic ignored "-Wignored-attributes"
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmissing-attributes"
#endif

namespace pirn::rt {

// Reads the setting, and has the gates in the link: a weak definition in the user's objects would
// do for the linker otherwise.
void open_gates();
void have_lock_gates();

// PIRN_DEBUG=gates=0 says no. Written before goroutines run.
[[gnu::visibility("hidden")]] extern bool gates_are_open;

template <class F>
struct signature;
template <class R, class... A>
struct signature<R(A...)> {
    using result = R;
    template <std::size_t I>
    using parameter = std::tuple_element_t<I, std::tuple<A...>>;
    static constexpr std::size_t count = sizeof...(A);
};
template <class R, class... A>
struct signature<R(A...) noexcept> : signature<R(A...)> {};

template <class F>
using result_of = typename signature<F>::result;
template <class F, std::size_t I>
using parameter_of = typename signature<F>::template parameter<I>;

// A call from an ordinary function. The pass would send one by name to the gate again; through a
// pointer that the compiler cannot see through, it makes room for a foreign function. One that
// needs little stack is called by a plain function of its own, ByName (PIRN_CALL).
template <auto Real, auto ByName = nullptr, class... A>
[[gnu::always_inline]] inline auto call_real(A... a) {
    if constexpr (ByName != nullptr) {
        return ByName(a...);
    } else {
        auto* real = Real;
        asm volatile("" : "+r"(real));
        return real(a...);
    }
}

}  // namespace pirn::rt

#define PIRN_PARAMETERS_0(F) void
#define PIRN_PARAMETERS_1(F) parameter_of<F, 0> a0
#define PIRN_PARAMETERS_2(F) PIRN_PARAMETERS_1(F), parameter_of<F, 1> a1
#define PIRN_PARAMETERS_3(F) PIRN_PARAMETERS_2(F), parameter_of<F, 2> a2
#define PIRN_PARAMETERS_4(F) PIRN_PARAMETERS_3(F), parameter_of<F, 3> a3
#define PIRN_PARAMETERS_5(F) PIRN_PARAMETERS_4(F), parameter_of<F, 4> a4
#define PIRN_PARAMETERS_6(F) PIRN_PARAMETERS_5(F), parameter_of<F, 5> a5
#define PIRN_PARAMETERS_7(F) PIRN_PARAMETERS_6(F), parameter_of<F, 6> a6
#define PIRN_ARGUMENTS_0
#define PIRN_ARGUMENTS_1 a0
#define PIRN_ARGUMENTS_2 a0, a1
#define PIRN_ARGUMENTS_3 a0, a1, a2
#define PIRN_ARGUMENTS_4 a0, a1, a2, a3
#define PIRN_ARGUMENTS_5 a0, a1, a2, a3, a4
#define PIRN_ARGUMENTS_6 a0, a1, a2, a3, a4, a5
#define PIRN_ARGUMENTS_7 a0, a1, a2, a3, a4, a5, a6
#define PIRN_MORE_0
#define PIRN_MORE_1 , a0
#define PIRN_MORE_2 , a0, a1
#define PIRN_MORE_3 , a0, a1, a2
#define PIRN_MORE_4 , a0, a1, a2, a3
#define PIRN_MORE_5 , a0, a1, a2, a3, a4
#define PIRN_MORE_6 , a0, a1, a2, a3, a4, a5
#define PIRN_MORE_7 , a0, a1, a2, a3, a4, a5, a6

// The function itself. Weak, so that a static program gets no function only because it has a gate.
#define PIRN_REAL(name, symbol, type) extern "C" [[gnu::weak]] type pirn_real_##name asm(symbol)

// pirn_gate_NAME, and its further names. Followed by the body.
#define PIRN_GATE(name, symbol, result, ...)                                            \
    extern "C" [[gnu::used]] result pirn_gate_##name(__VA_ARGS__);                      \
    extern "C" [[gnu::used, gnu::alias("pirn_gate_" #name)]] result pirn_split_##name(  \
        __VA_ARGS__) asm("__split$" symbol);                                            \
    extern "C" [[gnu::used, gnu::alias("pirn_gate_" #name)]] result pirn_splita_##name( \
        __VA_ARGS__) asm("__splita$" symbol);                                           \
    extern "C" result pirn_gate_##name(__VA_ARGS__)

// Calls the function by its name, for where a plain one is needed. The pass leaves calls of names
// that begin so as they are.
#define PIRN_CALL(name, type, parameters)                            \
    extern "C" [[gnu::noinline]] result_of<type> __pirn_call_##name( \
        PIRN_PARAMETERS_##parameters(type))
