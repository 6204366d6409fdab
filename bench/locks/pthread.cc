// SPDX-License-Identifier: MIT
// locks, pthread: the standard's locks between threads.
#include <mutex>
#include <shared_mutex>
#include <thread>
#include <vector>

#include "locks.h"

int main(int argc, char** argv) {
    const auto args = bench::parse(argc, argv, {.ops = bench::k_ops});
    bench::compare_locks<std::mutex, std::shared_mutex>(
        "pthread", args, [](std::uint64_t n, const auto& f) {
            std::vector<std::thread> all;
            for (std::uint64_t i = 0; i < n; i++) all.emplace_back([&f] { f(); });
            for (std::thread& t : all) t.join();
        });
}
