// SPDX-License-Identifier: MIT
// grow: what both contenders run; only how it is compiled, and where it runs, differs.
#pragma once

#include <cstdlib>
#include <cstring>

#include "config.h"
#include "harness/harness.h"

namespace bench {

[[gnu::noinline]] inline int fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

[[gnu::noinline]] inline int large_frame(int n) {
    volatile char frame[6000];
    frame[0] = static_cast<char>(n);
    frame[sizeof frame - 1] = 1;
    return frame[0] + frame[sizeof frame - 1];
}

template <class F>
double best_of(std::uint64_t ops, F f) {
    double best = ns_per_op(ops, f);
    for (int i = 1; i < k_best_of; i++) {
        const double ns = ns_per_op(ops, f);
        if (ns < best) best = ns;
    }
    return best;
}

inline void run_calls(const char* contender, const arguments& args) {
    static char from[32], to[32];
    long sum = 0;
    const double hop = best_of(args.ops, [&](std::uint64_t ops) {
        for (std::uint64_t i = 0; i < ops; i++) sum += large_frame(static_cast<int>(i & 3));
    });
    volatile int n = k_fib;  // not known to the compiler, which knows that fib is pure
    const double fib_ns = best_of(k_fib_calls, [&](std::uint64_t) { sum += fib(n); });
    const double memcpy_ns = best_of(args.ops, [&](std::uint64_t ops) {
        for (std::uint64_t i = 0; i < ops; i++) {
            std::size_t n = sizeof from;
            asm volatile("" : "+r"(n));  // not known to the compiler: a call
            std::memcpy(to, from, n);
            asm volatile("" : : : "memory");
        }
    });
    const double malloc_ns = best_of(args.ops, [&](std::uint64_t ops) {
        for (std::uint64_t i = 0; i < ops; i++) {
            void* p = std::malloc(24);
            asm volatile("" : "+r"(p));
            std::free(p);
        }
    });
    if (sum == 0) fail("nothing was computed");
    report("grow", contender, args, hop, "ns")
        .figure("ops", args.ops)
        .figure("fib_ns", fib_ns)
        .figure("memcpy_ns", memcpy_ns)
        .figure("malloc_ns", malloc_ns)
        .print();
}

}  // namespace bench
