// SPDX-License-Identifier: MIT
// The configuration of the workload sync, the same for all contenders; config.go mirrors it.
#pragma once

#include <cstdint>

namespace bench {

// Operations of each kind.
inline constexpr std::uint64_t k_ops = 50'000'000;

// What the pool's objects contain.
inline constexpr std::uint64_t k_mark = 1234567;

}  // namespace bench
