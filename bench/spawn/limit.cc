// SPDX-License-Identifier: MIT
// spawn, limit: a closure goes through a queue and is called, on the one stack there is.
#include <vector>

#include "config.h"
#include "harness/harness.h"

namespace {

struct closure {
    void (*call)(void*);
    void* argument;
};

struct counters {
    std::uint64_t ran = 0;
    std::uint64_t pending = 0;  // What a wait group would count.
};

void body(void* argument) {
    auto* c = static_cast<counters*>(argument);
    c->ran++;
    c->pending--;
}

void run_batch(std::vector<closure>& queue, counters* c, std::uint64_t n) {
    for (std::uint64_t i = 0; i < n; i++) {
        c->pending++;
        queue[i] = {body, c};
    }
    // The queue's contents are unknown from here on, so each call is a real indirect one.
    asm volatile("" : : "r"(queue.data()) : "memory");
    for (std::uint64_t i = 0; i < n; i++) queue[i].call(queue[i].argument);
    if (c->pending != 0) bench::fail("a closure did not run");
}

}  // namespace

int main(int argc, char** argv) {
    const auto args = bench::parse(argc, argv, {.ops = bench::k_ops, .count = bench::k_batch});
    std::vector<closure> queue(args.count);
    counters c;
    const double ns = bench::ns_per_op(args.ops, [&](std::uint64_t ops) {
        for (std::uint64_t left = ops; left > 0;) {
            const std::uint64_t n = left < args.count ? left : args.count;
            run_batch(queue, &c, n);
            left -= n;
        }
    });
    if (c.ran < args.ops) bench::fail("closures were lost");
    bench::report("spawn", "limit", args, ns, "ns").figure("ops", args.ops).print();
}
