// SPDX-License-Identifier: MIT
// switch, pirn: two contexts hand the processor to each other by the library's own switch.
#include "arch/arch.h"
#include "config.h"
#include "harness/harness.h"

namespace {

namespace arch = pirn::arch;

arch::context main_context;
arch::context other_context;
alignas(16) std::byte other_stack[bench::k_stack_size_bytes];

void other_entry(void* word) {
    for (;;) word = arch::switch_to(&other_context, &main_context, word);
}

}  // namespace

int main(int argc, char** argv) {
    const auto args = bench::parse(argc, argv, {.ops = bench::k_ops});
    arch::make_context(&other_context, other_stack + sizeof other_stack, other_entry);
    // The word goes there and back unchanged: a switch that loses it would be no switch.
    int witness = 0;
    void* word = &witness;
    const double ns = bench::ns_per_op(args.ops, [&word](std::uint64_t ops) {
        for (std::uint64_t i = 0; i < ops; i += 2) {
            word = arch::switch_to(&main_context, &other_context, word);
        }
    });
    if (word != &witness) bench::fail("the word did not come back");
    bench::report("switch", "pirn", args, ns, "ns").figure("ops", args.ops).print();
}
