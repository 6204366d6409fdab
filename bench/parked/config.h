// SPDX-License-Identifier: MIT
// The configuration of the workload parked, the same for all contenders; config.go mirrors it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bench {

// Goroutines that are parked at the same time. They differ by contender because their costs do;
// every figure is for one goroutine, so they compare all the same.
inline constexpr std::uint64_t k_count_go = 1'000'000;
inline constexpr std::uint64_t k_count_pirn = 1'000'000;
inline constexpr std::uint64_t k_count_pthread = 10'000;

// How long to wait, after the last one has reported that it is about to park, until it has.
inline constexpr std::uint64_t k_settle_ms = 50;

// How long to idle until what the crowd took should have gone back to the kernel.
inline constexpr std::uint64_t k_idle_ms = 1000;

// Threads ask for small stacks so that the address space holds them all; what is resident of a
// stack is the pages touched, whatever its size.
inline constexpr std::size_t k_thread_stack_size_bytes = 64 * 1024;

}  // namespace bench
