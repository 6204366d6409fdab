// SPDX-License-Identifier: MIT
// parked, pirn: goroutines that all receive from one channel until it is closed.
#include <pirn/chan.h>
#include <pirn/debug.h>
#include <pirn/runtime.h>
#include <pirn/sleep.h>
#include <pirn/sync.h>

#include <chrono>

#include "config.h"
#include "harness/harness.h"

namespace {

void park_all(const bench::arguments& args) {
    // Where each stack's guard costs the process a mapping, the kernel's limit on them decides.
    const std::uint64_t limit = pirn::runtime_stats().stacks_max;
    std::uint64_t count = args.count;
    if (limit != 0 && count + bench::k_spare_stacks > limit) count = limit - bench::k_spare_stacks;

    const auto gate = pirn::make_chan<void>();
    pirn::wait_group arrived;
    pirn::wait_group ended;
    arrived.add(static_cast<int>(count));
    ended.add(static_cast<int>(count));
    const std::uint64_t resident_before = bench::resident_bytes();
    const std::uint64_t start = bench::now_ns();
    for (std::uint64_t i = 0; i < count; i++) {
        pirn::go([&arrived, &ended, gate] {
            arrived.done();
            gate.recv();
            ended.done();
        });
    }
    arrived.wait();
    const std::uint64_t spawned = bench::now_ns();
    pirn::sleep_for(std::chrono::milliseconds(bench::k_settle_ms));
    const std::uint64_t resident = bench::resident_bytes() - resident_before;

    const std::uint64_t closing = bench::now_ns();
    gate.close();
    ended.wait();
    const std::uint64_t released = bench::now_ns();

    const double n = static_cast<double>(count);
    bench::report("parked", "pirn", args, static_cast<double>(resident) / n, "bytes")
        .figure("count", count)
        .figure("stacks_max", limit)
        .figure("spawn_ns", static_cast<double>(spawned - start) / n)
        .figure("release_ns", static_cast<double>(released - closing) / n)
        .print();
}

}  // namespace

int main(int argc, char** argv) {
    const auto args = bench::parse(argc, argv, {.count = bench::k_count_pirn});
    return pirn::run([&args] { park_all(args); }, {.procs = static_cast<int>(args.procs)});
}
