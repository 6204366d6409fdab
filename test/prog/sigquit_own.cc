// SPDX-License-Identifier: MIT
// EXPECT status 3
// EXPECT not stderr: quit
// The program's own handler for SIGQUIT wins, installed before a run or in it, and a run leaves the
// signal as it found it.
#include <csignal>

#include <pirn/runtime.h>

static volatile std::sig_atomic_t caught = 0;

static void handler(int) { caught = caught + 1; }

static bool is_default() {
    struct sigaction now {};
    ::sigaction(SIGQUIT, nullptr, &now);
    return now.sa_handler == SIG_DFL;
}

int main() {
    bool ours = false;
    pirn::run([&] { ours = !is_default(); });
    if (!ours || !is_default()) return 1;
    pirn::run([] {
        std::signal(SIGQUIT, handler);
        ::raise(SIGQUIT);
    });
    ::raise(SIGQUIT);
    pirn::run([] { ::raise(SIGQUIT); });
    return caught;
}
