// SPDX-License-Identifier: MIT
// EXPECT status 2
// EXPECT stdout: 10000 2
// EXPECT stderr: runtime: program exceeds 2-thread limit
// EXPECT stderr: fatal error: thread exhaustion
// EXPECT procs: 4
// G16 A thread too many ends the program.
#include <cstdio>

#include <pirn/runtime.h>

int main() {
    return pirn::run([] {
        const int first = pirn::set_max_threads(3);
        // Not fatal: there is only the main thread, and at most one that looked for work.
        const int second = (pirn::set_max_threads(2), pirn::set_max_threads(2));
        std::printf("%d %d\n", first, second);
        std::fflush(stdout);
        for (int i = 0; i < 100; ++i) {
            pirn::go([] {
                for (;;) pirn::yield();
            });
        }
        for (;;) pirn::yield();
    });
}
