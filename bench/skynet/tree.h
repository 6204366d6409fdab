// SPDX-License-Identifier: MIT
// What every skynet contender checks about its tree, and how it reports.
#pragma once

#include "config.h"
#include "harness/harness.h"

namespace bench {

// A tree is full only with a power of k_children leaves.
inline void check_leaves(std::uint64_t leaves) {
    while (leaves % k_children == 0) leaves /= k_children;
    if (leaves != 1) fail("--count must be a power of 10", {}, 2);
}

// Checks the sum of the leaves' numbers and prints the result line.
inline void report_tree(const char* contender, const arguments& args, std::uint64_t sum,
                        double seconds) {
    if (sum != args.count * (args.count - 1) / 2) fail("the sum is wrong");
    report("skynet", contender, args, seconds, "s")
        .figure("count", args.count)
        .figure("peak_rss_mb", static_cast<double>(peak_resident_bytes()) * 1e-6)
        .print();
}

}  // namespace bench
