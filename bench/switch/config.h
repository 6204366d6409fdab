// SPDX-License-Identifier: MIT
// The configuration of the workload switch, the same for all contenders.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bench {

// One-way switches; even, because they are made in pairs, there and back.
inline constexpr std::uint64_t k_ops = 200'000'000;

// The second context's stack, an ordinary array.
inline constexpr std::size_t k_stack_size_bytes = 16384;

}  // namespace bench
