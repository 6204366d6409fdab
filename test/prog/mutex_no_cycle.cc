// SPDX-License-Identifier: MIT
// EXPECT status 0
// EXPECT env: PIRN_DEBUG=deadlock=1
// EXPECT stdout: done
// EXPECT not stderr: deadlock
// K09: no circle, no report. Goroutines wait in chains, lock in one order, hand over in starvation
// mode, unlock what others have locked, and use the same address for one mutex after the other.
#include <cstdio>
#include <optional>

#include <pirn/mutex.h>
#include <pirn/runtime.h>
#include <pirn/sleep.h>
#include <pirn/wait_group.h>

using namespace std::chrono_literals;

namespace {

constexpr int k_mutexes = 4, k_goroutines = 8, k_rounds = 2000;
pirn::mutex mutexes[k_mutexes];

// Some of the mutexes, always in the same order.
void lock_some(int which) {
    for (int i = 0; i < k_mutexes; ++i) {
        if ((which >> i & 1) == 0) continue;
        if (i % 2 == 0 || !mutexes[i].try_lock()) {
            if (i % 2 == 0) mutexes[i].lock();
            else which &= ~(1 << i);
        }
        if (which % 7 == 0) pirn::yield();
    }
    for (int i = k_mutexes - 1; i >= 0; --i) {
        if ((which >> i & 1) != 0) mutexes[i].unlock();
    }
}

// A chain: each holds one and waits for the next, but the last, who sleeps; for longer than it
// takes to starve.
void chain() {
    pirn::wait_group all;
    for (int i = 0; i + 1 < k_mutexes; ++i) {
        all.go([i] {
            mutexes[i].lock();
            mutexes[i + 1].lock();
            pirn::sleep_for(3ms);
            mutexes[i + 1].unlock();
            mutexes[i].unlock();
        });
    }
    all.wait();
}

// One locks, another unlocks; and each address is many mutexes.
void pass_on() {
    for (int i = 0; i < 100; ++i) {
        std::optional<pirn::mutex> m;
        m.emplace();
        pirn::wait_group locked;
        locked.go([&m] { m->lock(); });
        locked.wait();
        m->unlock();
        m->lock();
        m->unlock();
    }
}

}  // namespace

int main() {
    return pirn::run([] {
        pirn::wait_group all;
        for (int i = 0; i < k_goroutines; ++i) {
            all.go([i] {
                for (int round = 0; round < k_rounds; ++round) lock_some(round * (i + 1) % 16);
            });
        }
        all.wait();
        for (int i = 0; i < 5; ++i) chain();
        pass_on();
        std::puts("done");
    });
}
