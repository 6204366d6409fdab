// SPDX-License-Identifier: MIT
// EXPECT status 0
// EXPECT stdout: ended, handler called 0 times
// A goroutine is left behind when the run ends, with the run time's signal pending: it is still the
// run time that gets it, and not the program's handler for that number.
#include <atomic>
#include <csignal>
#include <cstdio>
#include <string>

#include <unistd.h>

#include <pirn/runtime.h>
#include <pirn/sleep.h>

static std::atomic<int> straggler{0};
static std::atomic<bool> ended{false};
static std::atomic<int> called{0};

[[gnu::noinline]] static void spin() {
    while (!ended) {
    }
}

int main() {
    std::signal(SIGURG, [](int) { ++called; });
    pirn::run([] {
        pirn::go([] {
            while (::gettid() == ::getpid()) pirn::sleep_for(std::chrono::microseconds(100));
            sigset_t urgent;
            ::sigemptyset(&urgent);
            ::sigaddset(&urgent, SIGURG);
            ::pthread_sigmask(SIG_BLOCK, &urgent, nullptr);
            straggler = ::gettid();
            spin();
            ::pthread_sigmask(SIG_UNBLOCK, &urgent, nullptr);
        });
        while (straggler == 0) pirn::sleep_for(std::chrono::milliseconds(1));
    }, {.procs = 2});
    ended = true;
    const std::string task = "/proc/self/task/" + std::to_string(straggler.load());
    for (int looks = 0; looks < 10'000 && ::access(task.c_str(), F_OK) == 0; ++looks)
        ::usleep(1000);
    std::printf("%s, handler called %d times\n",
                ::access(task.c_str(), F_OK) == 0 ? "runs" : "ended", called.load());
}
