// SPDX-License-Identifier: MIT
// A thread that is woken on its waker's CPU is kept off it for the time of the wakeup.
#include <catch2/catch.hpp>

#include <atomic>
#include <thread>

#include <sched.h>
#include <unistd.h>

#include <pirn/runtime.h>

#include "runtime/placement.h"

using pirn::rt::placement;

namespace {

cpu_set_t own_mask() {
    cpu_set_t mask;
    CPU_ZERO(&mask);
    ::sched_getaffinity(0, sizeof mask, &mask);
    return mask;
}

// The calling thread on one CPU only, for a scope.
struct pinned {
    explicit pinned(int cpu) : before(own_mask()) {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        ::sched_setaffinity(0, sizeof one, &one);
    }
    ~pinned() { ::sched_setaffinity(0, sizeof before, &before); }
    cpu_set_t before;
};

struct masks {
    cpu_set_t while_woken, after;
};

// The masks of a thread that slept on `slept_on` and is woken by one on `woken_on`.
masks woken(int slept_on, int woken_on) {
    placement place;
    std::atomic<int> tid{0};
    std::atomic<bool> wake{false};
    masks seen;
    std::thread sleeper([&] {
        {
            const pinned here(slept_on);
            place.before_sleep();
        }
        tid = ::gettid();
        while (!wake) std::this_thread::yield();
        seen.while_woken = own_mask();
        place.after_sleep();
        seen.after = own_mask();
    });
    while (tid == 0) std::this_thread::yield();
    {
        const pinned here(woken_on);
        place.before_wake(tid);
    }
    wake = true;
    sleeper.join();
    return seen;
}

}  // namespace

TEST_CASE("a woken thread is kept off its waker's CPU, and gets its mask back") {
    const cpu_set_t all = own_mask();
    CHECK(pirn::num_cpu() == CPU_COUNT(&all));
    int first = -1, second = -1;
    for (int cpu = 0; cpu < CPU_SETSIZE && second < 0; ++cpu) {
        if (!CPU_ISSET(cpu, &all)) continue;
        (first < 0 ? first : second) = cpu;
    }
    REQUIRE(first >= 0);
    if (second < 0) {
        // One CPU: nothing is changed.
        const masks same = woken(first, first);
        CHECK(CPU_EQUAL(&same.while_woken, &all));
        return;
    }
    const masks same = woken(first, first);
    CHECK_FALSE(CPU_ISSET(first, &same.while_woken));
    CHECK(CPU_ISSET(second, &same.while_woken));
    CHECK(CPU_EQUAL(&same.after, &all));
    const masks other = woken(first, second);
    CHECK(CPU_EQUAL(&other.while_woken, &all));
    CHECK(CPU_EQUAL(&other.after, &all));
}
