// SPDX-License-Identifier: MIT
// The configuration of the workload yield, the same for all contenders; config.go mirrors it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bench {

// Yields in all; even, because two goroutines make half of them each.
inline constexpr std::uint64_t k_ops = 20'000'000;

// Threads pay a system call for each.
inline constexpr std::uint64_t k_ops_pthread = 1'000'000;

// The limit's second stack, an ordinary array.
inline constexpr std::size_t k_stack_size_bytes = 16384;

}  // namespace bench
