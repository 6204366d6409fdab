// SPDX-License-Identifier: MIT
// A fault in a guard, and growth past the limit, become messages.
#include "stack/overflow.h"

#include "runtime/base/atomic.h"
#include "runtime/base/check.h"
#include "stack/segment.h"

namespace pirn::stack {
namespace {

base::atomic<void (*)(const block&)> hook{nullptr};

void name_goroutine(const block& b) {
    // ORD(overflow-hook): acquire; pairs with the release in set_overflow_hook.
    if (auto* h = hook.load(std::memory_order_acquire)) h(b);
}

}  // namespace

bool overflows(const std::byte* lo, const void* address, const void* sp) {
    // Nobody's frame is larger than this, and no stack that a goroutine calls onto lies so near.
    constexpr std::ptrdiff_t k_reach_bytes = 16 << 20;
    const auto* at = static_cast<const std::byte*>(address);
    const auto* top = static_cast<const std::byte*>(sp);
    if (at < lo && at >= lo - k_guard_bytes) return true;
    return top < lo && lo - top < k_reach_bytes && at < lo && lo - at < k_reach_bytes;
}

void report_overflow(const block& b) {
    base::report("fatal error: stack overflow\n");
    name_goroutine(b);
    const extent e = extent_of(b);
    if (e.segments == 0)
        base::report(
            "its stack of %zu bytes is full; start it on a larger one with "
            "pirn::go({.stack = %zu}, ...)\n",
            b.bytes(), 4 * b.bytes());
    else
        base::report(
            "its stack of %zu bytes in %u segments is full: code that was not compiled for growing "
            "stacks took more than the %zu bytes that it is given; start the goroutine on a larger "
            "stack with pirn::go({.stack = ...}, ...), or compile that code with the flags of "
            "pkg-config pirn\n",
            e.bytes, e.segments, arch::k_foreign_bytes);
    base::die();
}

void report_exceeded(const block& b, std::size_t bytes) {
    base::report("runtime: goroutine stack exceeds %zu-byte limit\n", max_bytes());
    base::report("fatal error: stack overflow\n");
    name_goroutine(b);
    const extent e = extent_of(b);
    base::report(
        "its stack has grown to %zu bytes in %u segments and needs %zu more; "
        "options::max_stack sets the limit: pirn::run(main, {.max_stack = %zu})\n",
        e.bytes, e.segments, bytes, 2 * max_bytes());
    base::die();
}

void report_alloca(const block& b, std::size_t bytes) {
    base::report("fatal error: stack overflow: alloca too large\n");
    name_goroutine(b);
    base::report(
        "an alloca or a variable-length array goes %zu bytes past the end of its stack; a function "
        "that has one is given %zu bytes, and more where the goroutine starts on a larger stack: "
        "pirn::go({.stack = ...}, ...)\n",
        bytes, arch::k_foreign_bytes);
    base::die();
}

void set_overflow_hook(void (*h)(const block&)) {
    // ORD(overflow-hook): release; pairs with the acquire in name_goroutine.
    hook.store(h, std::memory_order_release);
}

}  // namespace pirn::stack
