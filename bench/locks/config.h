// SPDX-License-Identifier: MIT
// The configuration of the workload locks, the same for all contenders; config.go mirrors it.
#pragma once

#include <cstdint>

namespace bench {

// Times that a lock is taken and given back.
inline constexpr std::uint64_t k_ops = 20'000'000;

// Goroutines, or threads, that share the lock of the crowded figures.
inline constexpr std::uint64_t k_crowd = 8;

}  // namespace bench
