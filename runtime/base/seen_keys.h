// SPDX-License-Identifier: MIT
// Which of some keys have been there, to say a thing once for each.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/base/atomic.h"

namespace pirn::base {

// The first N of them; they stay. From any thread. A key is not 0.
template <std::size_t N>
class seen_keys {
  public:
    // Its place, if it was not there; N: it was, or there is no room.
    std::size_t add(std::uintptr_t key) {
        for (std::size_t i = 0; i < N; ++i) {
            std::uintptr_t before = 0;
            // Relaxed: the word elects who has the place, and publishes nothing.
            if (keys_[i].compare_exchange(before, key, std::memory_order_relaxed,
                                          std::memory_order_relaxed))
                return i;
            if (before == key) break;
        }
        return N;
    }

  private:
    atomic<std::uintptr_t> keys_[N];
};

}  // namespace pirn::base
