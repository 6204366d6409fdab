// SPDX-License-Identifier: MIT
// grow, limit: compiled without the pass, on a thread.
#include "calls.h"

int main(int argc, char** argv) {
    bench::run_calls("limit", bench::parse(argc, argv, {.ops = bench::k_ops}));
}
