// SPDX-License-Identifier: MIT
// cond_pingpong, pthread: two threads wait for each other on the standard's condition variables.
#include <condition_variable>
#include <mutex>
#include <thread>

#include "config.h"
#include "table.h"

int main(int argc, char** argv) {
    const auto args = bench::parse(argc, argv, {.ops = bench::k_ops_pthread});
    const double ns = bench::ns_per_op(args.ops, [](std::uint64_t ops) {
        bench::table<std::mutex, std::condition_variable> t;
        std::thread other([&] { t.play(1, ops); });
        t.play(0, ops);
        other.join();
        t.check(2 * ops);
    });
    bench::report("cond_pingpong", "pthread", args, ns, "ns").figure("ops", args.ops).print();
}
