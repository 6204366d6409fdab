// SPDX-License-Identifier: MIT
// chan_pingpong, limit: a value is left in a word of memory and the bare swap goes to its reader.
#include "config.h"
#include "harness/harness.h"
#include "swap.h"

namespace {

bench::bare_context main_context;
bench::bare_context other_context;
alignas(16) std::byte other_stack[bench::k_stack_size_bytes];
std::uint64_t ping;
std::uint64_t pong;

void other_entry() {
    for (;;) {
        pong = ping;
        bench::bare_swap(&other_context, &main_context);
    }
}

}  // namespace

int main(int argc, char** argv) {
    const auto args = bench::parse(argc, argv, {.ops = bench::k_ops});
    bench::bare_make(&other_context, other_stack, sizeof other_stack, other_entry);
    const double ns = bench::ns_per_op(args.ops, [](std::uint64_t ops) {
        for (std::uint64_t i = 0; i < ops; i++) {
            ping = i;
            bench::bare_swap(&main_context, &other_context);
            if (pong != i) bench::fail("the wrong value came back");
        }
    });
    bench::report("chan_pingpong", "limit", args, ns, "ns").figure("ops", args.ops).print();
}
