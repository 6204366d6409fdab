// SPDX-License-Identifier: MIT
// worker_pool, pirn: one goroutine gives a pool tasks that only report to a wait group.
#include <pirn/runtime.h>
#include <pirn/sync.h>

#include "config.h"
#include "harness/harness.h"

int main(int argc, char** argv) {
    const auto args = bench::parse(argc, argv, {.ops = bench::k_ops});
    return pirn::run(
        [&args] {
            pirn::worker_pool pool("bench", bench::k_cap);
            const double ns = bench::ns_per_op(args.ops, [&pool](std::uint64_t ops) {
                pirn::wait_group done;
                done.add(static_cast<int>(ops));
                for (std::uint64_t i = 0; i < ops; i++) pool.go([&done] { done.done(); });
                done.wait();
            });
            if (pool.panic_count() != 0 || pool.task_count() != 0)
                bench::fail("a task was not done");
            bench::report("worker_pool", "pirn", args, ns, "ns").figure("ops", args.ops).print();
        },
        {.procs = static_cast<int>(args.procs)});
}
