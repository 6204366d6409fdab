// SPDX-License-Identifier: MIT
// The monotonic clock.
#include "runtime/base/clock.h"

#include <ctime>

#include "runtime/base/atomic.h"

namespace pirn::base {
namespace {
atomic<std::int64_t (*)()> fake{nullptr};
}

std::int64_t now_ns() {
    // Relaxed: tests install the fake before they start the threads that read it.
    if (auto* source = fake.load(std::memory_order_relaxed)) [[unlikely]]
        return source();
    timespec t;
    ::clock_gettime(CLOCK_MONOTONIC, &t);
    return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

void set_fake_clock(std::int64_t (*source)()) { fake.store(source, std::memory_order_relaxed); }

}  // namespace pirn::base
