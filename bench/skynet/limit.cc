// SPDX-License-Identifier: MIT
// skynet, limit: the same tree by plain recursive calls.
#include "tree.h"

namespace {

// Neither inlined nor folded: each node is a real call.
[[gnu::noinline]] std::uint64_t node(std::uint64_t number, std::uint64_t leaves) {
    asm volatile("");
    if (leaves == 1) return number;
    const std::uint64_t share = leaves / bench::k_children;
    std::uint64_t sum = 0;
    for (std::uint64_t i = 0; i < bench::k_children; i++) sum += node(number + i * share, share);
    return sum;
}

}  // namespace

int main(int argc, char** argv) {
    const auto args = bench::parse(argc, argv, {.count = bench::k_leaves});
    bench::check_leaves(args.count);
    const std::uint64_t start = bench::now_ns();
    const std::uint64_t sum = node(0, args.count);
    const std::uint64_t end = bench::now_ns();
    bench::report_tree("limit", args, sum, bench::seconds_between(start, end));
}
