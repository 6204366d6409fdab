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
    stack_t stack_before{}, stack_after{};
    ::sigaltstack(nullptr, &stack_before);
    std::printf("before\n");
    const int status = pirn::run([] { return 5; });
    std::printf("after\n");
    struct sigaction now {};
    ::sigaction(SIGSEGV, nullptr, &now);
    ::sigaltstack(nullptr, &stack_after);
    if (now.sa_handler != handler || stack_after.ss_flags != stack_before.ss_flags ||
        stack_after.ss_sp != stack_before.ss_sp)
        return 1;
    return status;
}
