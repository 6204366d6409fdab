// SPDX-License-Identifier: MIT
// parked, pirn: goroutines that all receive from one channel until it is closed.
#include <pirn/chan.h>
#include <pirn/runtime.h>
#include <pirn/sleep.h>
#include <pirn/sync.h>

#include <chrono>

#include "config.h"
#include "harness/harness.h"

namespace {

struct counted {
    explicit counted(int& n) : n(n) { ++n; }
    ~counted() { --n; }
    int& n;
};

// A call chain with about 100 bytes of locals on each of its levels.
[[gnu::noinline]] int chain(int depth) {
    volatile char locals[100];
    locals[0] = static_cast<char>(depth);
    return depth == 0 ? 0 : chain(depth - 1) + locals[0];
}

struct figures {
    double resident, spawn_ns, release_ns;
};

// `deep`: how far down each calls, and comes back, before it parks.
figures park_all(std::uint64_t count, int deep) {
    const auto gate = pirn::make_chan<void>();
    pirn::wait_group arrived;
    pirn::wait_group ended;
    arrived.add(static_cast<int>(count));
    ended.add(static_cast<int>(count));
    const std::uint64_t resident_before = bench::resident_bytes();
    const std::uint64_t start = bench::now_ns();
    for (std::uint64_t i = 0; i < count; i++) {
        pirn::go([&arrived, &ended, gate, deep] {
            int n = deep == 0 ? 0 : chain(deep);
            const counted destroyed(n);
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
    return {static_cast<double>(resident) / n, static_cast<double>(spawned - start) / n,
            static_cast<double>(released - closing) / n};
}

void park(const bench::arguments& args) {
    const std::uint64_t resident_before = bench::resident_bytes();
    const figures straight = park_all(args.count, 0);
    pirn::sleep_for(std::chrono::milliseconds(bench::k_idle_ms));
    const double left_mb =
        (static_cast<double>(bench::resident_bytes()) - static_cast<double>(resident_before)) / 1e6;
    const figures deep = park_all(args.count, 8);
    bench::report("parked", "pirn", args, straight.resident, "bytes")
        .figure("count", args.count)
        .figure("spawn_ns", straight.spawn_ns)
        .figure("release_ns", straight.release_ns)
        .figure("after_chain_bytes", deep.resident)
        .figure("left_mb", left_mb)
        .print();
}

}  // namespace

int main(int argc, char** argv) {
    const auto args = bench::parse(argc, argv, {.count = bench::k_count_pirn});
    return pirn::run([&args] { park(args); }, {.procs = static_cast<int>(args.procs)});
}
