// SPDX-License-Identifier: MIT
// spawn, pirn: batches of goroutines that do nothing but report to a wait group.
#include <pirn/runtime.h>
#include <pirn/sync.h>

#include "config.h"
#include "harness/harness.h"

namespace {

void run_batch(std::uint64_t n) {
    pirn::wait_group ended;
    for (std::uint64_t i = 0; i < n; i++) {
        ended.add(1);
        pirn::go([&ended] { ended.done(); });
    }
    ended.wait();
}

}  // namespace

int main(int argc, char** argv) {
    const auto args = bench::parse(argc, argv, {.ops = bench::k_ops, .count = bench::k_batch});
    return pirn::run(
        [&args] {
            const double ns = bench::ns_per_op(args.ops, [&args](std::uint64_t ops) {
                for (std::uint64_t left = ops; left > 0;) {
                    const std::uint64_t n = left < args.count ? left : args.count;
                    run_batch(n);
                    left -= n;
                }
            });
            bench::report("spawn", "pirn", args, ns, "ns").figure("ops", args.ops).print();
        },
        {.procs = static_cast<int>(args.procs)});
}
