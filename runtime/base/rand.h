// SPDX-License-Identifier: MIT
// A small fast random generator for scheduling decisions; not for secrets.
#pragma once

#include <cstdint>

namespace pirn::base {

// xorshift64* (Vigna 2016). Owned by one thread. Seed 0 is replaced, since it would stay 0.
class rand {
  public:
    explicit rand(std::uint64_t seed = 1) : state_(seed != 0 ? seed : 0x9e3779b97f4a7c15u) {}
    std::uint32_t next() {
        state_ ^= state_ >> 12;
        state_ ^= state_ << 25;
        state_ ^= state_ >> 27;
        return static_cast<std::uint32_t>((state_ * 0x2545f4914f6cdd1du) >> 32);
    }
    // Uniform in [0, n), n > 0, by a multiplication instead of a division (Lemire).
    std::uint32_t below(std::uint32_t n) {
        return static_cast<std::uint32_t>((std::uint64_t{next()} * n) >> 32);
    }

  private:
    std::uint64_t state_;
};

}  // namespace pirn::base
