// SPDX-License-Identifier: MIT
// yield, pirn: two goroutines call pirn::yield() in turn.
#include <pirn/runtime.h>
#include <pirn/sync.h>

#include "config.h"
#include "harness/harness.h"

namespace {

void yield_times(std::uint64_t n) {
    for (std::uint64_t i = 0; i < n; i++) pirn::yield();
}

void both_yield(std::uint64_t ops) {
    pirn::wait_group ended;
    ended.add(1);
    pirn::go([&ended, ops] {
        yield_times(ops / 2);
        ended.done();
    });
    yield_times(ops / 2);
    ended.wait();
}

}  // namespace

int main(int argc, char** argv) {
    const auto args = bench::parse(argc, argv, {.ops = bench::k_ops});
    return pirn::run(
        [&args] {
            const double ns = bench::ns_per_op(args.ops, both_yield);
            bench::report("yield", "pirn", args, ns, "ns").figure("ops", args.ops).print();
        },
        {.procs = static_cast<int>(args.procs)});
}
