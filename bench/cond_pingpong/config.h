// SPDX-License-Identifier: MIT
// The configuration of the workload cond_pingpong, the same for all contenders; config.go mirrors
// it.
#pragma once

#include <cstdint>

namespace bench {

// Round trips in all.
inline constexpr std::uint64_t k_ops = 2'000'000;

// Threads pay system calls and switches of the kernel for each.
inline constexpr std::uint64_t k_ops_pthread = 200'000;

}  // namespace bench
