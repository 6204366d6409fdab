// SPDX-License-Identifier: MIT
// yield, pirn: two goroutines call pirn::yield() in turn.
#include <pirn/runtime.h>
#include <pirn/sync.h>

#include "config.h"
#include "harness/harness.h"

namespace {

[[gnu::noinline]] void yield_times(std::uint64_t n) {
    for (std::uint64_t i = 0; i < n; i++) pirn::yield();
}

// The same loop at another place in the code; the empty statement keeps the compiler from merging
// the two.
[[gnu::noinline]] void yield_times_elsewhere(std::uint64_t n) {
    for (std::uint64_t i = 0; i < n; i++) {
        pirn::yield();
        asm volatile("");
    }
}

// Two goroutines share the operations, one in each loop.
void both_yield(std::uint64_t ops, void (*one)(std::uint64_t), void (*other)(std::uint64_t)) {
    pirn::wait_group ended;
    ended.add(2);
    for (auto* loop : {one, other}) {
        pirn::go([&ended, ops, loop] {
            loop(ops / 2);
            ended.done();
        });
    }
    ended.wait();
}

void measure(const bench::arguments& args) {
    const double ns = bench::ns_per_op(
        args.ops, [](std::uint64_t ops) { both_yield(ops, yield_times, yield_times); });
    const double two_places_ns = bench::ns_per_op(
        args.ops, [](std::uint64_t ops) { both_yield(ops, yield_times, yield_times_elsewhere); });
    bench::report("yield", "pirn", args, ns, "ns")
        .figure("ops", args.ops)
        .figure("two_places_ns", two_places_ns)
        .print();
}

}  // namespace

int main(int argc, char** argv) {
    const auto args = bench::parse(argc, argv, {.ops = bench::k_ops});
    return pirn::run([&args] { measure(args); }, {.procs = static_cast<int>(args.procs)});
}
