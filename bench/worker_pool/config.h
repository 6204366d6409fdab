// SPDX-License-Identifier: MIT
// The configuration of the workload worker_pool, the same for all contenders; config.go mirrors it.
#pragma once

#include <cstdint>

namespace bench {

// Tasks in all.
inline constexpr std::uint64_t k_ops = 1'000'000;

// Workers at the most.
inline constexpr int k_cap = 8;

}  // namespace bench
