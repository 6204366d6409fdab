// SPDX-License-Identifier: MIT
// select, pirn: a goroutine takes from two channels that two others feed; and looks in vain.
#include <pirn/chan.h>
#include <pirn/runtime.h>
#include <pirn/select.h>

#include "config.h"
#include "harness/harness.h"

namespace {

void fed(std::uint64_t ops) {
    const auto left = pirn::make_chan<std::uint64_t>();
    const auto right = pirn::make_chan<std::uint64_t>();
    const std::uint64_t half = ops / 2;
    for (const auto& c : {left, right}) {
        pirn::go([c, half] {
            for (std::uint64_t i = 1; i <= half; i++) c.send(i);
        });
    }
    std::uint64_t sum = 0;
    for (std::uint64_t i = 0; i < 2 * half; i++) {
        pirn::select(pirn::on_recv(left, [&](std::optional<std::uint64_t> v) { sum += *v; }),
                     pirn::on_recv(right, [&](std::optional<std::uint64_t> v) { sum += *v; }));
    }
    if (sum != half * (half + 1)) bench::fail("a value was lost");
}

void none_ready(std::uint64_t ops) {
    const auto left = pirn::make_chan<std::uint64_t>();
    const auto right = pirn::make_chan<std::uint64_t>();
    std::uint64_t missed = 0;
    for (std::uint64_t i = 0; i < ops; i++) {
        if (pirn::select(pirn::on_recv(left), pirn::on_recv(right), pirn::otherwise()) == 2)
            missed++;
    }
    if (missed != ops) bench::fail("a value came from nowhere");
}

void try_in_vain(std::uint64_t ops) {
    const auto empty = pirn::make_chan<std::uint64_t>();
    std::uint64_t missed = 0, value = 0;
    for (std::uint64_t i = 0; i < ops; i++) {
        if (empty.try_recv(value) == pirn::recv_status::empty) missed++;
    }
    if (missed != ops) bench::fail("a value came from nowhere");
}

}  // namespace

int main(int argc, char** argv) {
    const auto args = bench::parse(argc, argv, {.ops = bench::k_ops});
    return pirn::run(
        [&args] {
            const double ns = bench::ns_per_op(args.ops, fed);
            const double none_ns = bench::ns_per_op(args.ops, none_ready);
            const double try_ns = bench::ns_per_op(args.ops, try_in_vain);
            bench::report("select", "pirn", args, ns, "ns")
                .figure("ops", args.ops)
                .figure("none_ns", none_ns)
                .figure("try_recv_ns", try_ns)
                .print();
        },
        {.procs = static_cast<int>(args.procs)});
}
