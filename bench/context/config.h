// SPDX-License-Identifier: MIT
// The configuration of the workload context, the same for all contenders; config.go mirrors it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bench {

// Of each kind: contexts made and cancelled, children, lookups.
inline constexpr std::uint64_t k_ops = 2'000'000;

// Below one parent at a time.
inline constexpr std::uint64_t k_children = 100'000;

// Values above the one that asks.
inline constexpr std::size_t k_levels = 10;

}  // namespace bench
