// SPDX-License-Identifier: MIT
// spawn, pthread: batches of threads that do nothing, joined one after the other.
#include <thread>
#include <vector>

#include "config.h"
#include "harness/harness.h"

namespace {

void run_batch(std::vector<std::thread>& threads, std::uint64_t n) {
    threads.clear();
    for (std::uint64_t i = 0; i < n; i++) threads.emplace_back([] {});
    for (std::thread& t : threads) t.join();
}

}  // namespace

int main(int argc, char** argv) {
    const auto args =
        bench::parse(argc, argv, {.ops = bench::k_ops_pthread, .count = bench::k_batch_pthread});
    std::vector<std::thread> threads;
    threads.reserve(args.count);
    const double ns = bench::ns_per_op(args.ops, [&](std::uint64_t ops) {
        for (std::uint64_t left = ops; left > 0;) {
            const std::uint64_t n = left < args.count ? left : args.count;
            run_batch(threads, n);
            left -= n;
        }
    });
    bench::report("spawn", "pthread", args, ns, "ns").figure("ops", args.ops).print();
}
