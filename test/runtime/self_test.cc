// SPDX-License-Identifier: MIT
// The thread-local accessor: right after every switch, also under -fPIC and -flto.
//
// Every function here reads it before and after a switch that may come back on another thread. A
// compiler that carries the thread's answer (or its thread-local's address) across the switch makes
// the two disagree with the kernel's thread id.
#include "test/support/fixture.h"
#include "test/support/mailbox.h"

#include <atomic>
#include <thread>
#include <vector>

#include <unistd.h>

#include <pirn/debug.h>
#include <pirn/runtime.h>
#include <pirn/sleep.h>

#include "runtime/m.h"
#include "runtime/self.h"

using namespace pirn;
using namespace pirn::test;

namespace {

// Reads twice around a switch in one function, as inlined code would.
[[gnu::noinline]] bool agrees_around_switch(mailbox& box, bool& moved) {
    const int before = rt::self()->tid;
    const int kernel_before = static_cast<int>(::gettid());
    box.take();
    const int after = rt::self()->tid;
    const int kernel_after = static_cast<int>(::gettid());
    moved = kernel_before != kernel_after;
    return before == kernel_before && after == kernel_after;
}

}  // namespace

TEST_CASE("self is null on threads that are not the runtime's") { CHECK(rt::self() == nullptr); }

TEST_CASE("self is the thread's own after every switch") {
    on_procs([](int procs) {
        std::atomic<int> wrong{0}, done{0}, moves{0};
        std::atomic<bool> stop{false};
        run([&] {
            constexpr int k_goroutines = 8;
            std::vector<mailbox> boxes(k_goroutines);
            for (auto& box : boxes) {
                go([&] {
                    while (!stop) {
                        bool moved = false;
                        if (!agrees_around_switch(box, moved)) ++wrong;
                        if (moved) ++moves;
                    }
                    ++done;
                });
            }
            // A foreign thread wakes them, by way of the global queue: any M may be the next.
            std::thread waker([&] {
                while (done < k_goroutines) {
                    for (auto& box : boxes) box.put();
                    std::this_thread::yield();
                }
            });
            // On several Ps they do move; without a move the test would show nothing.
            const int wanted = procs == 1 ? 0 : 50;
            const auto latest = clock::now() + std::chrono::seconds(10);
            while (moves < wanted && clock::now() < latest)
                sleep_for(std::chrono::microseconds(200));
            stop = true;
            wait_until([&] { return done == k_goroutines; });
            waker.join();
        }, {.procs = procs});
        CHECK(wrong == 0);
        if (procs > 1) CHECK(moves >= 50);
    });
}
