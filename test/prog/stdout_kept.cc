// SPDX-License-Identifier: MIT
// EXPECT status 5
// EXPECT stdout: before
// EXPECT stdout: after
// A run leaves the process as it found it: standard output, signal handlers, the thread.
#include <csignal>
#include <cstdio>
#include <cstring>

#include <pirn/runtime.h>

static void handler(int) {}

int main() {
    struct sigaction mine {};
    mine.sa_handler = handler;
    ::sigaction(SIGSEGV, &mine, nullptr);
    std::printf("before\n");
    const int status = pirn::run([] { return 5; });
    std::printf("after\n");
    struct sigaction now {};
    ::sigaction(SIGSEGV, nullptr, &now);
    stack_t alternate{};
    ::sigaltstack(nullptr, &alternate);
    if (now.sa_handler != handler || (alternate.ss_flags & SS_DISABLE) == 0) return 1;
    return status;
}
