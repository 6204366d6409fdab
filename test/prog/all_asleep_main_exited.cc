// SPDX-License-Identifier: MIT
// EXPECT status 2
// EXPECT stdout: the other ran
// EXPECT stderr: fatal error: no goroutines (main called goexit) - deadlock!
// G05: goexit in main lets the others go on; when all have ended, that is reported.
#include <cstdio>

#include <pirn/runtime.h>
#include <pirn/sleep.h>

int main() {
    return pirn::run([] {
        pirn::go([] {
            pirn::sleep_for(std::chrono::milliseconds(5));
            std::puts("the other ran");
            std::fflush(stdout);
        });
        pirn::goexit();
    });
}
