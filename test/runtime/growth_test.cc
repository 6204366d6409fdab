// SPDX-License-Identifier: MIT
// Small stacks as a program sees them: what they cost, when they hop, what goes back. The hard
// cases of the hop itself are in test/growth.
#include "test/support/fixture.h"
#include "test/support/resident.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <vector>

#include <pirn/debug.h>
#include <pirn/runtime.h>
#include <pirn/sleep.h>

#include "arch/arch.h"
#include "runtime/m.h"
#include "runtime/park.h"
#include "runtime/lock.h"
#include "runtime/self.h"
#include "stack/map.h"
#include "stack/stack.h"

using namespace pirn;
using namespace pirn::test;

namespace {

// An emulator takes many times as long for the same work.
[[maybe_unused]] const int k_scale = stack::emulated() ? 10 : 1;

[[maybe_unused, gnu::noinline]] int recurse(int n) {
    volatile char frame[64];
    frame[0] = static_cast<char>(n);
    const int below = n == 0 ? 0 : recurse(n - 1);
    return below + 1 + frame[0] - static_cast<char>(n);
}

[[maybe_unused, gnu::noinline]] int large_frame(int n) {
    volatile char frame[100'000];
    frame[0] = static_cast<char>(n);
    frame[sizeof frame - 1] = 1;
    asm volatile("" : : "r"(frame) : "memory");  // else a compiler sees that one call is enough
    return frame[0] + frame[sizeof frame - 1];
}

// Parks its callers until released; the plainest thing that blocks.
struct gate {
    std::atomic<int> parked{0};
    rt::lock mu{rt::lock_rank::leaf};
    std::vector<rt::who> all;
    void wait() {
        rt::parker self;
        {
            const rt::no_preemption guard;
            rt::lock_guard hold(mu);
            all.push_back(self.name());
        }
        self.park([](void* g) { ++static_cast<gate*>(g)->parked; }, this, rt::wait_reason::forever);
    }
    void open() {
        for (const rt::who w : all) rt::ready(w);
        all.clear();
    }
};

// Runs f as a goroutine, from the main one.
template <class F>
void in_goroutine(F f) {
    std::atomic<bool> done{false};
    go([&] {
        f();
        done = true;
    });
    wait_until([&] { return done.load(); });
}

[[maybe_unused]] bool on_small_block() { return rt::self()->cur()->size_class == 0; }

}  // namespace

#if defined(PIRN_SPLIT) && !defined(PIRN_PERTURB)

TEST_CASE("a goroutine starts on a small block, or on as much as it asks for") {
    run_on_procs([] {
        std::size_t started_on[3] = {};
        in_goroutine([&] { started_on[0] = rt::self()->cur()->bytes(); });
        std::atomic<int> left{2};
        go({.stack = 256 << 10}, [&] {
            started_on[1] = rt::self()->cur()->bytes();
            --left;
        });
        go({.stack = 1 << 20}, [&] {
            started_on[2] = rt::self()->cur()->bytes();
            --left;
        });
        wait_until([&] { return left == 0; });
        if (started_on[0] != stack::k_small_bytes || started_on[1] != 256 << 10 ||
            started_on[2] != 1 << 20)
            std::abort();
    });
}

TEST_CASE("nothing on the way to a park hops") {
    const int k_parks = 1'000'000 / k_scale;
    std::uint64_t hops = 1;
    run([&] {
        std::atomic<bool> stop{false};
        go([&] {
            while (!stop) yield();
        });
        in_goroutine([&] {
            const std::uint64_t before = runtime_stats().hops;
            for (int i = 0; i < k_parks; ++i) yield();
            hops = runtime_stats().hops - before;
        });
        stop = true;
    }, {.procs = 1});
    // The first runtime_stats may hop; a yield does not.
    CHECK(hops < 10);
}

TEST_CASE("a goroutine with a destructor in its frame parks on its small block") {
    constexpr int k_goroutines = 10'000;
    std::uint64_t hops = 1;
    long bytes_each = 0;
    run([&] {
        gate g;
        g.all.reserve(k_goroutines);
        const long before = resident_bytes();
        const std::uint64_t hops_before = runtime_stats().hops;
        for (int i = 0; i < k_goroutines; ++i) {
            go([&] {
                std::string held(15, 'x');
                g.wait();
                if (held.size() != 15) std::abort();
            });
        }
        wait_until([&] { return g.parked == k_goroutines; });
        hops = runtime_stats().hops - hops_before;
        bytes_each = (resident_bytes() - before) / k_goroutines;
        g.open();
        wait_until([] { return num_goroutine() == 1; });
    }, {.procs = 1});
    // Hops are made for the pool to grow, not by each goroutine.
    CHECK(hops < k_goroutines / 20);
    // The block, the record of its start in part, whole pages of both.
    CHECK(bytes_each < 2600);
}

TEST_CASE("a frame that does not fit hops, and its segment is kept for the next") {
    run_on_procs([] {
        in_goroutine([] {
            if (!on_small_block()) std::abort();
            const stats before = runtime_stats();
            for (int i = 0; i < 1000; ++i) {
                if (large_frame(5) != 6) std::abort();
            }
            const stats after = runtime_stats();
            if (after.hops - before.hops < 1000) std::abort();
            if (after.segments > before.segments + 8) std::abort();
        });
    });
}

TEST_CASE("on_large_stack has 64 KB below it, here or on a segment") {
    run_on_procs([] {
        auto room = [] {
            const auto* here = static_cast<std::byte*>(__builtin_frame_address(0));
            return static_cast<std::size_t>(here - reinterpret_cast<std::byte*>(arch::limit()));
        };
        // A thread's own stack has no limit.
        if (on_large_stack([] { return 5; }) != 5) std::abort();
        in_goroutine([&] {
            if (room() > 8192) std::abort();
            if (on_large_stack(room) < 60'000) std::abort();
            int value = 3;
            int& same = on_large_stack([&]() -> int& { return value; });
            if (&same != &value) std::abort();
            on_large_stack([&] { ++value; });
            if (value != 4) std::abort();
            const std::string moved = on_large_stack([] { return std::string(100, 'a'); });
            if (moved.size() != 100) std::abort();
            bool caught = false;
            try {
                on_large_stack([] { throw 5; });
            } catch (int n) {
                caught = n == 5;
            }
            if (!caught || room() > 8192) std::abort();
        });
    });
}

TEST_CASE("recursion 100,000 deep and back, again and again, takes no more memory than once") {
    const int k_depth = 100'000 / k_scale;
    const int k_times = 1000 / k_scale;
    long grown = 0;
    run([&] {
        in_goroutine([&] {
            if (recurse(k_depth) != k_depth + 1) std::abort();
            const long once = resident_bytes();
            for (int i = 0; i < k_times; ++i) {
                if (recurse(k_depth) != k_depth + 1) std::abort();
            }
            grown = resident_bytes() - once;
        });
    }, {.procs = 1});
    // An emulator's own memory counts too, and grows.
    CHECK(grown < (stack::emulated() ? 2 << 20 : 256 << 10));
}

TEST_CASE("a stack shrinks by itself: what a deep call took goes back when it is not used") {
    long deep = 0, after = 0;
    run([&] {
        const long before = resident_bytes();
        in_goroutine([&] {
            recurse(100'000);
            deep = resident_bytes() - before;
        });
        // Idle, so that the thread gives back what it has cached.
        sleep_for(std::chrono::milliseconds(50));
        after = resident_bytes() - before;
    }, {.procs = 1});
    CHECK(deep > 2'000'000);
    CHECK(after < 1'000'000);
}

#endif

// Sanitizers keep memory of their own for what was given back.
#if !defined(PIRN_PERTURB) && !defined(PIRN_ASAN) && !defined(PIRN_TSAN)

TEST_CASE("the memory of a peak is given back within a second of idling") {
    // What an emulator has resident is its own business.
    if (stack::emulated()) return;
    constexpr int k_goroutines = 50'000;
    for (const int procs : {1, 4}) run([&] {
        auto crowd = [&] {
            gate g;
            g.all.reserve(k_goroutines);
            for (int i = 0; i < k_goroutines; ++i) go([&] { g.wait(); });
            wait_until([&] { return g.parked == k_goroutines; });
            const long peak = resident_bytes();
            g.open();
            wait_until([] { return num_goroutine() == 1; });
            return peak;
        };
        crowd();
        sleep_for(std::chrono::milliseconds(900));
        const long before = resident_bytes();
        const long peak = crowd();
        sleep_for(std::chrono::milliseconds(900));
        const long after = resident_bytes();
        if (peak < before + k_goroutines * 1900L) std::abort();
        // A region, which is never split, is 2 MB.
        if (after > before + before / 10 + (2 << 20) + (256 << 10)) {
            std::fprintf(stderr, "before %ld, peak %ld, after %ld\n", before, peak, after);
            std::abort();
        }
    }, {.procs = procs});
}

TEST_CASE("goroutines that end elsewhere than they began do not make the pools grow") {
    const int k_rounds = 200 / k_scale;
    constexpr int k_each = 500;
    for (const int procs : {2, 4}) {
        std::size_t most = 0;
        run([&] {
            for (int round = 0; round < k_rounds; ++round) {
                std::atomic<int> left{k_each};
                for (int i = 0; i < k_each; ++i) {
                    go([&] {
                        for (int n = 0; n < 3; ++n) yield();
                        --left;
                    });
                }
                wait_until([&] { return left == 0; });
                most = std::max(most, runtime_stats().stacks);
            }
        }, {.procs = procs});
        // One round's worth, and what the caches of the Ps may keep.
        CHECK(most <= static_cast<std::size_t>(k_each + procs * 3 * 32 + 40));
    }
}

#endif
