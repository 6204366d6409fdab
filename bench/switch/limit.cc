// SPDX-License-Identifier: MIT
// switch, limit: two contexts hand the processor to each other by the bare swap of PC and SP.
#include "config.h"
#include "harness/harness.h"
#include "swap.h"

namespace {

bench::bare_context main_context;
bench::bare_context other_context;
alignas(16) std::byte other_stack[bench::k_stack_size_bytes];

void other_entry() {
    for (;;) bench::bare_swap(&other_context, &main_context);
}

}  // namespace

int main(int argc, char** argv) {
    const auto args = bench::parse(argc, argv, {.ops = bench::k_ops});
    bench::bare_make(&other_context, other_stack, sizeof other_stack, other_entry);
    const double ns = bench::ns_per_op(args.ops, [](std::uint64_t ops) {
        for (std::uint64_t i = 0; i < ops; i += 2) bench::bare_swap(&main_context, &other_context);
    });
    bench::report("switch", "limit", args, ns, "ns").figure("ops", args.ops).print();
}
