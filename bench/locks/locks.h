// SPDX-License-Identifier: MIT
// What the C++ contenders of the workload locks do; they differ in their locks, and in what runs.
#pragma once

#include <cstdint>

#include "config.h"
#include "harness/harness.h"

namespace bench {

// A lock and the number that it protects, alone in their cache line: what lies beside a lock costs
// more or less by chance.
template <class Mutex>
struct alignas(64) guarded {
    Mutex lock;
    std::uint64_t number = 0;
};

// A crowd shares the operations; what the mutex protects is a number. run(n, f) runs f n times at
// once and waits. Also for one: the C library's mutex costs less where there is no second thread.
template <class Mutex, class Run>
void count(std::uint64_t ops, std::uint64_t crowd, Run run) {
    guarded<Mutex> shared;
    const std::uint64_t each = ops / crowd;
    run(crowd, [&] {
        guarded<Mutex>& s = shared;
        for (std::uint64_t left = each; left > 0; left--) {
            s.lock.lock();
            s.number++;
            s.lock.unlock();
        }
    });
    if (shared.number != each * crowd) fail("a count was lost");
}

// A crowd of readers; each adds up what it reads.
template <class Mutex, class Run>
void read(std::uint64_t ops, std::uint64_t crowd, Run run) {
    guarded<Mutex> shared;
    shared.number = 1;
    const std::uint64_t each = ops / crowd;
    run(crowd, [&] {
        guarded<Mutex>& s = shared;
        std::uint64_t sum = 0;
        for (std::uint64_t left = each; left > 0; left--) {
            s.lock.lock_shared();
            sum += s.number;
            s.lock.unlock_shared();
        }
        if (sum != each) fail("a value was lost");
    });
}

// All figures of one contender, printed.
template <class Mutex, class SharedMutex, class Run>
void compare_locks(const char* contender, const arguments& args, Run run) {
    const double ns =
        ns_per_op(args.ops, [&](std::uint64_t ops) { count<Mutex>(ops, 1, run); });
    const double crowd_ns =
        ns_per_op(args.ops, [&](std::uint64_t ops) { count<Mutex>(ops, k_crowd, run); });
    const double read_ns =
        ns_per_op(args.ops, [&](std::uint64_t ops) { read<SharedMutex>(ops, 1, run); });
    const double readers_ns =
        ns_per_op(args.ops, [&](std::uint64_t ops) { read<SharedMutex>(ops, k_crowd, run); });
    report("locks", contender, args, ns, "ns")
        .figure("ops", args.ops)
        .figure("crowd_ns", crowd_ns)
        .figure("read_ns", read_ns)
        .figure("readers_ns", readers_ns)
        .print();
}

}  // namespace bench
