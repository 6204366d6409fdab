// SPDX-License-Identifier: MIT
// EXPECT status 2
// EXPECT stderr: fatal error: pirn::go in a signal handler
// EXPECT stderr: let it write to an eventfd or a pipe that a goroutine reads
// G30: a handler may have interrupted the scheduler.
#include <csignal>

#include <pirn/runtime.h>
#include <pirn/sleep.h>

static void handler(int) { pirn::go([] {}); }

int main() {
    std::signal(SIGUSR1, handler);
    pirn::run([] { ::raise(SIGUSR1); });
}
