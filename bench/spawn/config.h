// SPDX-License-Identifier: MIT
// The configuration of the workload spawn, the same for all contenders; config.go mirrors it.
#pragma once

#include <cstdint>

namespace bench {

// Goroutines in all.
inline constexpr std::uint64_t k_ops = 2'000'000;

// Goroutines that are started before the starter waits for all of them.
inline constexpr std::uint64_t k_batch = 1'000;

// Threads cost some 10 us each and the kernel's memory: fewer, in smaller batches.
inline constexpr std::uint64_t k_ops_pthread = 20'000;
inline constexpr std::uint64_t k_batch_pthread = 100;

}  // namespace bench
