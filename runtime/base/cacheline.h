// SPDX-License-Identifier: MIT
// The size that keeps two writers' fields from sharing a cache line.
#pragma once

#include <cstddef>

namespace pirn::base {

// 64 bytes on both CPUs; std::hardware_destructive_interference_size varies with -mtune on gcc,
// which would make it part of the ABI.
inline constexpr std::size_t k_cache_line_bytes = 64;

}  // namespace pirn::base
