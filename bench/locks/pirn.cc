// SPDX-License-Identifier: MIT
// locks, pirn: pirn's locks between goroutines.
#include <pirn/runtime.h>
#include <pirn/sync.h>

#include "locks.h"

int main(int argc, char** argv) {
    const auto args = bench::parse(argc, argv, {.ops = bench::k_ops});
    return pirn::run(
        [&args] {
            bench::compare_locks<pirn::mutex, pirn::rw_mutex>(
                "pirn", args, [](std::uint64_t n, const auto& f) {
                    pirn::wait_group all;
                    for (std::uint64_t i = 0; i < n; i++) all.go([&f] { f(); });
                    all.wait();
                });
        },
        {.procs = static_cast<int>(args.procs)});
}
