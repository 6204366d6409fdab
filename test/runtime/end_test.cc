// SPDX-License-Identifier: MIT
// How goroutines and runs end.
#include "test/support/fixture.h"
#include "test/support/resident.h"

#include <atomic>
#include <string>


#include <pirn/runtime.h>
#include <pirn/sleep.h>

#include "runtime/lock.h"
#include "runtime/park.h"
#include "runtime/waiter.h"

using namespace pirn;
using namespace pirn::test;

TEST_CASE("G03 the end of main does not wait for parked, sleeping or yielding goroutines") {
    on_procs([](int procs) {
        for (int i = 0; i < 20; ++i) {
            run([] {
                go([] { rt::park_forever(rt::wait_reason::forever); });
                go([] { sleep_for(std::chrono::hours(1)); });
                go([] { for (;;) yield(); });
                for (int k = 0; k < 10; ++k) yield();
            }, {.procs = procs});
        }
    });
}

TEST_CASE("goroutines that never ran are dropped with the run") {
    on_procs([](int procs) {
        run([] {
            for (int i = 0; i < 2000; ++i) go([] {});
        }, {.procs = procs});
    });
}

TEST_CASE("G04 goexit runs destructors, is no exception, and ends only its goroutine") {
    on_procs([](int procs) {
        std::string order;
        std::atomic<bool> ended{false};
        run([&] {
            go([&] {
                defer last{[&] { ended = true; }};
                defer a{[&] { order += 'a'; }};
                try {
                    defer b{[&] { order += 'b'; }};
                    [&]() { defer c{[&] { order += 'c'; }}; goexit(); }();
                } catch (const std::exception&) {
                    order += '!';
                }
                order += '!';
            });
            wait_until([&] { return ended.load(); });
            wait_until([] { return num_goroutine() == 1; });
        }, {.procs = procs});
        CHECK(order == "cba");
    });
}

TEST_CASE("goexit goes through a catch (...) that rethrows") {
    on_procs([](int procs) {
        std::atomic<int> passed{0};
        run([&] {
            for (int i = 0; i < 200; ++i) {
                go([&] {
                    try {
                        yield();
                        goexit();
                    } catch (...) {
                        ++passed;
                        throw;
                    }
                });
            }
            wait_until([] { return num_goroutine() == 1; });
        }, {.procs = procs});
        CHECK(passed == 200);
    });
}

TEST_CASE("goexit while an exception is being handled") {
    on_procs([](int procs) {
        std::atomic<int> right{0};
        run([&] {
            for (int i = 0; i < 100; ++i) {
                go([&] {
                    try {
                        throw 1;
                    } catch (int) {
                        goexit();
                    }
                });
            }
            wait_until([] { return num_goroutine() == 1; });
            // The next goroutine on the same M has no exception in hand.
            for (int i = 0; i < 100; ++i)
                go([&] { if (!std::current_exception()) ++right; });
            wait_until([] { return num_goroutine() == 1; });
        }, {.procs = procs});
        CHECK(right == 100);
    });
}

TEST_CASE("a goroutine may catch what it throws, a thousand at once") {
    on_procs([](int procs) {
        std::atomic<int> caught{0};
        run([&] {
            for (int i = 0; i < 1000; ++i) {
                go([&, i] {
                    try {
                        yield();
                        throw i;
                    } catch (int n) {
                        yield();
                        if (n == i) ++caught;
                    }
                });
            }
            wait_until([&] { return caught == 1000; });
        }, {.procs = procs});
        CHECK(caught == 1000);
    });
}

namespace {

// An object that outlives runs and has waiters: what a channel is to the end of a run.
struct gate {
    rt::lock mu{rt::lock_rank::hchan};
    rt::waiter_queue queue;

    static bool drop(rt::waiter* w) noexcept {
        auto* g = static_cast<gate*>(w->object.get());
        const rt::no_preemption guard;
        rt::lock_guard hold(g->mu);
        if (!w->linked()) return false;
        g->queue.remove(w);
        return true;
    }
    void wait() {
        const rt::no_preemption guard;
        rt::parker self;
        rt::waiter w;
        w.owner = self.name();
        w.object = this;
        w.drop = drop;
        mu.acquire();
        queue.push_back(&w);
        self.park([](void* g) { static_cast<gate*>(g)->mu.release(); }, this,
                  rt::wait_reason::forever, &w);
    }
};

// How much memory is taken by runs that each leave so many goroutines parked.
long taken_by_runs(int procs, gate& g) {
    constexpr int k_runs = 40, k_parked = 500;
    const long before = resident_bytes();
    for (int i = 0; i < k_runs; ++i) {
        run([&] {
            std::atomic<int> started{0};
            for (int k = 0; k < k_parked; ++k) {
                go([&] {
                    ++started;
                    g.wait();
                });
            }
            wait_until([&] { return started == k_parked; });
        }, {.procs = procs});
    }
    return resident_bytes() - before;
}

}  // namespace

TEST_CASE("Q04 runs that leave parked goroutines behind give their memory back") {
    on_procs([](int procs) {
        gate g;
        static_cast<void>(taken_by_runs(procs, g));
        // Left behind would be 2 KB of stack each, 40 MB in all. A sanitizer's own memory grows,
        // and so does an emulator's.
        [[maybe_unused]] const long taken = taken_by_runs(procs, g);
#if !defined(PIRN_ASAN) && !defined(PIRN_TSAN)
        if (!stack::emulated()) CHECK(taken < 10'000'000);
#endif
        CHECK(g.queue.empty());
    });
}

TEST_CASE("a goroutine dropped with its run leaves the queue it waits on") {
    on_procs([](int procs) {
        gate g;
        run([&] {
            std::atomic<int> started{0};
            for (int i = 0; i < 10; ++i) {
                go([&] {
                    ++started;
                    g.wait();
                });
            }
            wait_until([&] { return started == 10; });
            for (int i = 0; i < 100; ++i) yield();
        }, {.procs = procs});
        CHECK(g.queue.empty());
    });
}
