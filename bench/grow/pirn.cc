// SPDX-License-Identifier: MIT
// grow, pirn: on a goroutine's small stack.
#include <pirn/runtime.h>
#include <pirn/sync.h>

#include "calls.h"

int main(int argc, char** argv) {
    const auto args = bench::parse(argc, argv, {.ops = bench::k_ops});
    return pirn::run([&args] {
        pirn::wait_group done;
        done.go([&args] { bench::run_calls("pirn", args); });
        done.wait();
    }, {.procs = 1});
}
