// SPDX-License-Identifier: MIT
// The configuration of the workload skynet, the same for all contenders; config.go mirrors it.
#pragma once

#include <cstdint>

namespace bench {

// Leaves of the tree; a power of the number of children.
inline constexpr std::uint64_t k_leaves = 1'000'000;

// Children of each node that is not a leaf.
inline constexpr std::uint64_t k_children = 10;

}  // namespace bench
