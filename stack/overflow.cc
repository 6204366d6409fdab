// SPDX-License-Identifier: MIT
// A fault in a guard becomes a message.
#include "stack/overflow.h"

#include "runtime/base/atomic.h"
#include "runtime/base/check.h"

namespace pirn::stack {
namespace {
base::atomic<void (*)(const block&)> hook{nullptr};
}

bool overflows(const block& b, const void* address, const void* sp) {
    // Nobody's frame is larger than this, and no stack that a goroutine calls onto lies so near.
    constexpr std::ptrdiff_t k_reach_bytes = 16 << 20;
    const auto* at = static_cast<const std::byte*>(address);
    const auto* top = static_cast<const std::byte*>(sp);
    if (at < b.lo && at >= b.lo - k_guard_bytes) return true;
    return top < b.lo && b.lo - top < k_reach_bytes && at < b.lo && b.lo - at < k_reach_bytes;
}

void report_overflow(const block& b) {
    base::report("fatal error: stack overflow\n");
    // ORD(overflow-hook): acquire; pairs with the release in set_overflow_hook.
    if (auto* h = hook.load(std::memory_order_acquire)) h(b);
    base::report(
        "its stack of %zu bytes is full; start it on a larger one with "
        "pirn::go({.stack = %zu}, ...)\n",
        b.bytes, 4 * b.bytes);
    base::die();
}

void set_overflow_hook(void (*h)(const block&)) {
    // ORD(overflow-hook): release; pairs with the acquire in report_overflow.
    hook.store(h, std::memory_order_release);
}

}  // namespace pirn::stack
