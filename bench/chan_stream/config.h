// SPDX-License-Identifier: MIT
// The configuration of the workload chan_stream, the same for all contenders; config.go mirrors it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bench {

// Values that go through the channel.
inline constexpr std::uint64_t k_ops = 10'000'000;

inline constexpr std::size_t k_capacity = 100;

// Producers, and as many consumers, of the crowded stream.
inline constexpr std::uint64_t k_crowd = 4;

}  // namespace bench
