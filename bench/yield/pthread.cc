// SPDX-License-Identifier: MIT
// yield, pthread: two threads call sched_yield() in turn.
//
// The kernel is free to go on with the caller, so the switches that really happened are reported
// beside the time: a yield that was none would flatter the figure.
#include <sched.h>
#include <sys/resource.h>

#include <thread>

#include "config.h"
#include "harness/harness.h"

namespace {

void yield_times(std::uint64_t n) {
    for (std::uint64_t i = 0; i < n; i++) sched_yield();
}

void both_yield(std::uint64_t ops) {
    std::thread other(yield_times, ops / 2);
    yield_times(ops / 2);
    other.join();
}

std::uint64_t context_switches() {
    rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<std::uint64_t>(usage.ru_nvcsw + usage.ru_nivcsw);
}

}  // namespace

int main(int argc, char** argv) {
    const auto args = bench::parse(argc, argv, {.ops = bench::k_ops_pthread});
    const double ns = bench::ns_per_op(args.ops, both_yield);
    // The warm-up is a tenth on top of the timed operations.
    const double yields = static_cast<double>(args.ops) * 1.1;
    bench::report("yield", "pthread", args, ns, "ns")
        .figure("ops", args.ops)
        .figure("switches_per_op", static_cast<double>(context_switches()) / yields)
        .print();
}
