// SPDX-License-Identifier: MIT
// The configuration of the workload chan_pingpong, the same for all contenders; config.go mirrors
// it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bench {

// Round trips.
inline constexpr std::uint64_t k_ops = 5'000'000;

// Threads pay two wake-ups by the kernel for each.
inline constexpr std::uint64_t k_ops_pthread = 200'000;

// The limit's second stack, an ordinary array.
inline constexpr std::size_t k_stack_size_bytes = 16384;

}  // namespace bench
