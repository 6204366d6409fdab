// SPDX-License-Identifier: MIT
// A fault in a guard becomes a message.
#include "stack/overflow.h"

#include "runtime/base/atomic.h"
#include "runtime/base/check.h"

namespace pirn::stack {
namespace {
base::atomic<void (*)(const block&)> hook{nullptr};
}

bool overflows(const block& b, const void* address) {
    const auto* at = static_cast<const std::byte*>(address);
    return at < b.lo && at >= b.lo - k_guard_bytes;
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
