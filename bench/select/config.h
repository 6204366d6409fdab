// SPDX-License-Identifier: MIT
// The configuration of the workload select, the same for all contenders; config.go mirrors it.
#pragma once

#include <cstdint>

namespace bench {

// Selects.
inline constexpr std::uint64_t k_ops = 5'000'000;

}  // namespace bench
