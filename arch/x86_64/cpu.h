// SPDX-License-Identifier: MIT
// x86-64: a polite spin and a cheap time stamp.
#pragma once

#include <cstdint>

namespace pirn::arch {

// Tells the core that this is a spin loop.
inline void pause() { __builtin_ia32_pause(); }

// A counter that rises at a constant rate on every core; the unit is the CPU's own.
inline std::uint64_t cycles() { return __builtin_ia32_rdtsc(); }

}  // namespace pirn::arch
