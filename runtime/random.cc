// SPDX-License-Identifier: MIT
// Random numbers for choices that must be fair, from any thread.
#include "runtime/base/rand.h"

#include "runtime/m.h"
#include "runtime/park.h"
#include "runtime/self.h"

namespace pirn::rt {
namespace {

// For threads that the runtime does not own, which have nowhere to keep a generator: a counter
// whose values are mixed (splitmix64, Steele et al. 2014).
base::atomic<std::uint64_t> counter{0};

std::uint32_t next_shared() {
    constexpr std::uint64_t k_golden = 0x9e3779b97f4a7c15;
    // Relaxed: only that each value is taken once matters.
    std::uint64_t z = counter.fetch_add(k_golden, std::memory_order_relaxed) + k_golden;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return static_cast<std::uint32_t>((z ^ (z >> 31)) >> 32);
}

}  // namespace

std::uint32_t random_below(std::uint32_t n) {
    if (m* mp = self()) [[likely]]
        return mp->random.below(n);
    return static_cast<std::uint32_t>((std::uint64_t{next_shared()} * n) >> 32);
}

}  // namespace pirn::rt
