// SPDX-License-Identifier: MIT
// The monotonic clock that the runtime reads, replaceable by a fake one in tests.
#pragma once

#include <cstdint>

namespace pirn::base {

// Nanoseconds of CLOCK_MONOTONIC (std::chrono::steady_clock's own), or of the fake clock.
std::int64_t now_ns();

// Later than every deadline.
inline constexpr std::int64_t k_never_ns = INT64_MAX;

// now + d without overflow: a huge duration means never.
inline std::int64_t saturating_deadline_ns(std::int64_t now, std::int64_t d) {
    std::int64_t sum = 0;
    return __builtin_add_overflow(now, d, &sum) ? (d > 0 ? k_never_ns : INT64_MIN) : sum;
}

// Tests only: reads come from `source` until set to nullptr again.
void set_fake_clock(std::int64_t (*source)());

}  // namespace pirn::base
