// SPDX-License-Identifier: MIT
// EXPECT stdout: first run: 1 2 3
// EXPECT stdout: second run: 4
// EXPECT stdout: after main: 5 6, locked 1
// EXPECT not stderr: fatal
// Q03: channels, mutexes and goroutine-locals that are globals are used before main, by runs, and
// by the destructors and handlers that end the program.
#include <cstdio>
#include <cstdlib>

#include <pirn/chan.h>
#include <pirn/mutex.h>
#include <pirn/runtime.h>
#include <pirn/wait_group.h>

namespace {

pirn::mutex mu;
pirn::wait_group wg;
const auto numbers = pirn::make_chan<int>(8);
pirn::goroutine_local<int> mine;

// Destroyed before what it uses, which is older.
struct last_words {
    last_words() { numbers.send(1); }
    ~last_words() {
        const bool locked = mu.try_lock();
        const int five = numbers.recv().value_or(0), six = numbers.recv().value_or(0);
        std::printf("after main: %d %d, locked %d\n", five, six, locked);
        if (locked) mu.unlock();
    }
} const last;

// Before main, on the program's first thread.
const int in_first_run = pirn::run([] {
    numbers.send(2);
    wg.go([] {
        const std::lock_guard hold(mu);
        *mine = 3;
        numbers.send(*mine);
    });
    wg.wait();
    std::printf("first run: ");
    for (int i = 0; i < 3; ++i) std::printf("%d ", numbers.recv().value_or(0));
    std::printf("\n");
    return 0;
});

}  // namespace

int main() {
    std::atexit([] { numbers.send(6); });
    pirn::run([] {
        wg.go([] {
            const std::lock_guard hold(mu);
            numbers.send(4);
        });
        wg.wait();
        std::printf("second run: %d\n", numbers.recv().value_or(0));
    });
    numbers.send(5);
    return in_first_run;
}
