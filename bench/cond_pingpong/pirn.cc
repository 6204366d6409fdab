// SPDX-License-Identifier: MIT
// cond_pingpong, pirn: two goroutines wait for each other on conditions.
#include <pirn/runtime.h>
#include <pirn/sync.h>

#include "config.h"
#include "table.h"

int main(int argc, char** argv) {
    const auto args = bench::parse(argc, argv, {.ops = bench::k_ops});
    return pirn::run(
        [&args] {
            const double ns = bench::ns_per_op(args.ops, [](std::uint64_t ops) {
                bench::table<pirn::mutex, pirn::cond> t;
                pirn::wait_group other;
                other.go([&] { t.play(1, ops); });
                t.play(0, ops);
                other.wait();
                t.check(2 * ops);
            });
            bench::report("cond_pingpong", "pirn", args, ns, "ns").figure("ops", args.ops).print();
        },
        {.procs = static_cast<int>(args.procs)});
}
