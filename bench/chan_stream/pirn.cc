// SPDX-License-Identifier: MIT
// chan_stream, pirn: producers fill a buffered channel that consumers empty.
#include <atomic>

#include <pirn/chan.h>
#include <pirn/runtime.h>
#include <pirn/sync.h>

#include "config.h"
#include "harness/harness.h"

namespace {

// `crowd` producers share the operations, `crowd` consumers add up what comes.
void stream(std::uint64_t ops, std::uint64_t crowd) {
    const auto values = pirn::make_chan<std::uint64_t>(bench::k_capacity);
    const std::uint64_t each = ops / crowd;
    std::atomic<std::uint64_t> sum{0};
    pirn::wait_group produced, consumed;
    for (std::uint64_t k = 0; k < crowd; k++) {
        produced.go([&values, each] {
            for (std::uint64_t i = 1; i <= each; i++) values.send(i);
        });
        consumed.go([&values, &sum] {
            std::uint64_t mine = 0;
            while (const auto value = values.recv()) mine += *value;
            sum += mine;
        });
    }
    produced.wait();
    values.close();
    consumed.wait();
    if (sum != crowd * (each * (each + 1) / 2)) bench::fail("a value was lost");
}

}  // namespace

int main(int argc, char** argv) {
    const auto args = bench::parse(argc, argv, {.ops = bench::k_ops});
    return pirn::run(
        [&args] {
            const double ns =
                bench::ns_per_op(args.ops, [](std::uint64_t ops) { stream(ops, 1); });
            const double crowd_ns = bench::ns_per_op(
                args.ops, [](std::uint64_t ops) { stream(ops, bench::k_crowd); });
            bench::report("chan_stream", "pirn", args, ns, "ns")
                .figure("ops", args.ops)
                .figure("crowd_ns", crowd_ns)
                .print();
        },
        {.procs = static_cast<int>(args.procs)});
}
