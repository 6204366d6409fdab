// SPDX-License-Identifier: MIT
// chan_pingpong, pirn: a number goes to another goroutine and back over two unbuffered channels.
#include <pirn/chan.h>
#include <pirn/runtime.h>

#include "config.h"
#include "harness/harness.h"

namespace {

void round_trips(std::uint64_t ops) {
    const auto ping = pirn::make_chan<std::uint64_t>();
    const auto pong = pirn::make_chan<std::uint64_t>();
    pirn::go([ping, pong] {
        while (const auto value = ping.recv()) pong.send(*value);
        pong.close();
    });
    for (std::uint64_t i = 0; i < ops; i++) {
        ping.send(i);
        if (pong.recv() != i) bench::fail("the wrong value came back");
    }
    ping.close();
    if (pong.recv()) bench::fail("a value too many came back");
}

}  // namespace

int main(int argc, char** argv) {
    const auto args = bench::parse(argc, argv, {.ops = bench::k_ops});
    return pirn::run(
        [&args] {
            const double ns = bench::ns_per_op(args.ops, round_trips);
            bench::report("chan_pingpong", "pirn", args, ns, "ns").figure("ops", args.ops).print();
        },
        {.procs = static_cast<int>(args.procs)});
}
