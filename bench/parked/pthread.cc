// SPDX-License-Identifier: MIT
// parked, pthread: threads that all wait on one condition variable until a flag is set.
#include <pthread.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "config.h"
#include "harness/harness.h"

namespace {

struct gate {
    std::mutex mutex;
    std::condition_variable opened;
    std::condition_variable all_arrived;
    // Guarded by mutex.
    std::uint64_t missing = 0;
    bool open = false;
};

void* wait_at_gate(void* argument) {
    auto* g = static_cast<gate*>(argument);
    std::unique_lock lock(g->mutex);
    if (--g->missing == 0) g->all_arrived.notify_one();
    g->opened.wait(lock, [g] { return g->open; });
    return nullptr;
}

std::vector<pthread_t> start_threads(gate* g, std::uint64_t count) {
    std::vector<pthread_t> threads(count);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, bench::k_thread_stack_size_bytes);
    for (pthread_t& t : threads) {
        const int error = pthread_create(&t, &attributes, wait_at_gate, g);
        if (error != 0) bench::fail_errno("pthread_create", error);
    }
    pthread_attr_destroy(&attributes);
    return threads;
}

}  // namespace

int main(int argc, char** argv) {
    const auto args = bench::parse(argc, argv, {.count = bench::k_count_pthread});
    gate g;
    g.missing = args.count;
    const std::uint64_t resident_before = bench::resident_bytes();
    const std::uint64_t start = bench::now_ns();
    const std::vector<pthread_t> threads = start_threads(&g, args.count);
    {
        std::unique_lock lock(g.mutex);
        g.all_arrived.wait(lock, [&g] { return g.missing == 0; });
    }
    const std::uint64_t spawned = bench::now_ns();
    std::this_thread::sleep_for(std::chrono::milliseconds(bench::k_settle_ms));
    const std::uint64_t resident = bench::resident_bytes() - resident_before;

    const std::uint64_t closing = bench::now_ns();
    {
        const std::lock_guard lock(g.mutex);
        g.open = true;
    }
    g.opened.notify_all();
    for (pthread_t t : threads) pthread_join(t, nullptr);
    const std::uint64_t released = bench::now_ns();

    const double n = static_cast<double>(args.count);
    bench::report("parked", "pthread", args, static_cast<double>(resident) / n, "bytes")
        .figure("count", args.count)
        .figure("spawn_ns", static_cast<double>(spawned - start) / n)
        .figure("release_ns", static_cast<double>(released - closing) / n)
        .print();
}
