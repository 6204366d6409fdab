// SPDX-License-Identifier: MIT
// The configuration of the workload grow, the same for both contenders.
#pragma once

#include <cstdint>

namespace bench {

inline constexpr std::uint64_t k_ops = 5'000'000;
inline constexpr int k_fib = 35;
// How often fib(35) calls itself.
inline constexpr std::uint64_t k_fib_calls = 29'860'703;
inline constexpr int k_best_of = 5;

}  // namespace bench
