// SPDX-License-Identifier: MIT
// skynet, pirn: a tree of goroutines that send the sums of their children up over channels.
#include <pirn/chan.h>
#include <pirn/runtime.h>

#include "tree.h"

namespace {

void node(pirn::chan<std::uint64_t> up, std::uint64_t number, std::uint64_t leaves) {
    if (leaves == 1) {
        up.send(number);
        return;
    }
    const auto results = pirn::make_chan<std::uint64_t>();
    const std::uint64_t share = leaves / bench::k_children;
    for (std::uint64_t i = 0; i < bench::k_children; i++) {
        pirn::go(node, results, number + i * share, share);
    }
    std::uint64_t sum = 0;
    for (std::uint64_t i = 0; i < bench::k_children; i++) sum += *results.recv();
    up.send(sum);
}

}  // namespace

int main(int argc, char** argv) {
    const auto args = bench::parse(argc, argv, {.count = bench::k_leaves});
    bench::check_leaves(args.count);
    return pirn::run(
        [&args] {
            const auto result = pirn::make_chan<std::uint64_t>();
            const std::uint64_t start = bench::now_ns();
            pirn::go(node, result, std::uint64_t{0}, args.count);
            const std::uint64_t sum = *result.recv();
            const std::uint64_t end = bench::now_ns();
            bench::report_tree("pirn", args, sum, bench::seconds_between(start, end));
        },
        {.procs = static_cast<int>(args.procs)});
}
