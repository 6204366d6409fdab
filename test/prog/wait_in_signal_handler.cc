// SPDX-License-Identifier: MIT
// EXPECT status 2
// EXPECT stderr: fatal error: a goroutine was to wait in a signal handler
// EXPECT stderr: let it write to an eventfd or a pipe that a goroutine reads
// G30: a handler may have interrupted the scheduler.
#include <csignal>

#include <pirn/runtime.h>
#include <pirn/sleep.h>

static void handler(int) { pirn::sleep_for(std::chrono::milliseconds(1)); }

int main() {
    std::signal(SIGUSR1, handler);
    pirn::run([] { ::raise(SIGUSR1); });
}
