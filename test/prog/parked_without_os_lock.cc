// SPDX-License-Identifier: MIT
// EXPECT stdout: 4 waits
// EXPECT not stderr: warning
// A goroutine that holds no lock of the operating system while it waits is none of the run time's
// business: one that has unlocked it, one whose wait unlocks it, one that blocks its thread.
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>

#include <pirn/cond.h>
#include <pirn/mutex.h>
#include <pirn/runtime.h>
#include <pirn/sleep.h>
#include <pirn/wait_group.h>

namespace {

std::mutex m;
int step = 0;   // guarded by m

// Has `wait` wait, with m locked, until the step; from another goroutine that is made.
template <class Wait, class Notify>
void wait_for_step(int wanted, Wait wait, Notify notify) {
    pirn::wait_group all;
    all.go([&] {
        std::unique_lock hold(m);
        while (step != wanted) wait(hold);
    });
    pirn::sleep_for(std::chrono::milliseconds(5));
    {
        const std::lock_guard hold(m);
        step = wanted;
    }
    notify();
    all.wait();
}

}  // namespace

int main() {
    return pirn::run([] {
        std::condition_variable of_threads;
        wait_for_step(1, [&](auto& hold) { of_threads.wait(hold); },
                      [&] { of_threads.notify_one(); });
        pirn::cond of_goroutines;
        wait_for_step(2, [&](auto& hold) { of_goroutines.wait(hold); },
                      [&] { of_goroutines.notify_one(); });
        std::condition_variable_any of_any;
        wait_for_step(3, [&](auto& hold) { of_any.wait(hold); }, [&] { of_any.notify_one(); });
        pirn::mutex ours;
        wait_for_step(
            4,
            [&](auto& hold) {
                hold.unlock();
                pirn::sleep_for(std::chrono::milliseconds(1));
                ours.lock();
                hold.lock();
                ours.unlock();
            },
            [] {});
        std::printf("%d waits\n", step);
    });
}
