// SPDX-License-Identifier: MIT
// EXPECT status 2
// EXPECT stderr: fatal error: stack overflow
// EXPECT stderr like: the stack of thread pirn-m[0-9]+ itself \(g0\)
// EXPECT stderr: on which the scheduler runs, is full
// EXPECT stderr: ulimit -s sets its size
// EXPECT not stderr: goroutine 1
// A function that the scheduler itself calls has its thread's stack; overflowing that is named too.
#include <sys/resource.h>
#include <unistd.h>

#include <pirn/runtime.h>
#include <pirn/sleep.h>

#include "runtime/timer.h"

static int recurse(int n) {
    volatile char frame[1000];
    frame[0] = static_cast<char>(n);
    return recurse(n + 1) + frame[0];
}

int main(int, char** argv) {
    // Without a limit on the main thread's stack, there would be nothing to overflow; it is read
    // when a program starts.
    rlimit limit{};
    constexpr rlim_t k_most = 8u << 20;
    if (::getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur > k_most) {
        limit.rlim_cur = k_most;
        if (::setrlimit(RLIMIT_STACK, &limit) != 0) return 1;
        ::execv("/proc/self/exe", argv);
        return 1;
    }
    static pirn::rt::timer t;
    t.fire = [](pirn::rt::timer*) { recurse(0); };
    return pirn::run([] {
        pirn::rt::timer_start(&t, pirn::base::now_ns());
        pirn::sleep_for(std::chrono::seconds(30));
    });
}
