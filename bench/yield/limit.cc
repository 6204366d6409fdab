// SPDX-License-Identifier: MIT
// yield, limit: a first-in-first-out ring of two contexts and the bare swap of PC and SP.
//
// This is what no scheduler can do without: put itself at the tail, take the head, go there.
#include "config.h"
#include "harness/harness.h"
#include "swap.h"

namespace {

bench::bare_context main_context;
bench::bare_context other_context;
alignas(16) std::byte other_stack[bench::k_stack_size_bytes];

// A ring of a power of two, with running indexes as a real run queue has them.
constexpr unsigned k_ring_size = 256;
bench::bare_context* ring[k_ring_size];
unsigned head = 0;
unsigned tail = 0;

[[gnu::always_inline]] inline void bare_yield(bench::bare_context* self) {
    ring[tail++ % k_ring_size] = self;
    bench::bare_context* next = ring[head++ % k_ring_size];
    bench::bare_swap(self, next);
}

void other_entry() {
    for (;;) bare_yield(&other_context);
}

}  // namespace

int main(int argc, char** argv) {
    const auto args = bench::parse(argc, argv, {.ops = bench::k_ops});
    bench::bare_make(&other_context, other_stack, sizeof other_stack, other_entry);
    ring[tail++ % k_ring_size] = &other_context;
    const double ns = bench::ns_per_op(args.ops, [](std::uint64_t ops) {
        for (std::uint64_t i = 0; i < ops; i += 2) bare_yield(&main_context);
    });
    bench::report("yield", "limit", args, ns, "ns").figure("ops", args.ops).print();
}
