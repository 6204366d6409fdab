// SPDX-License-Identifier: MIT
// EXPECT stdout: a timer, a reader, a blocking call, a read, a child, a signal: woken by all 6
// EXPECT not stderr: deadlock
// K05: all goroutines wait, and no thread of the process is left that could wake one; but a timer,
// a descriptor, a call that blocks, or a signal will. One after the other, so that nothing else is
// there to hide a false report.
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>

#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pirn/chan.h>
#include <pirn/io.h>
#include <pirn/runtime.h>
#include <pirn/sleep.h>

namespace {

constexpr unsigned k_a_while_us = 60'000;

// The reading end of a pipe that a process of its own writes to after a while.
int written_to_later() {
    int both[2];
    if (::pipe(both) != 0) return -1;
    if (::fork() == 0) {
        ::usleep(k_a_while_us);
        ::_exit(::write(both[1], "x", 1) == 1 ? 0 : 1);
    }
    ::close(both[1]);
    return both[0];
}

bool reads_x(int fd) {
    char c = 0;
    return ::read(fd, &c, 1) == 1 && c == 'x';
}

// The main goroutine waits for another one, which waits as `wait` does.
template <class F>
void check(const char* what, F wait) {
    const auto done = pirn::make_chan<bool>();
    pirn::go([=] { done.send(wait()); });
    std::printf("%s%s", what, done.recv().value_or(false) ? "" : " (wrong)");
}

}  // namespace

int main() {
    // Not from within the run: a child would have to be waited for by hand.
    const int polled = written_to_later();
    sigset_t alarm_only;
    ::sigemptyset(&alarm_only);
    ::sigaddset(&alarm_only, SIGALRM);
    ::sigprocmask(SIG_BLOCK, &alarm_only, nullptr);
    return pirn::run([&] {
        check("a timer, ", [] {
            pirn::sleep_for(std::chrono::microseconds(k_a_while_us));
            return true;
        });
        auto in = *pirn::io::fd::adopt(polled);
        check("a reader, ", [&in] {
            std::byte b{};
            const auto n = in.read(std::span(&b, 1));
            return n.has_value() && *n == 1 && b == std::byte{'x'};
        });
        check("a blocking call, ", [] {
            const int fd = written_to_later();
            return pirn::blocking([fd] { return reads_x(fd); });
        });
        check("a read, ", [] { return reads_x(written_to_later()); });
        check("a child, ", [] {
            const pid_t pid = ::fork();
            if (pid == 0) {
                ::usleep(k_a_while_us);
                ::_exit(7);
            }
            int status = 0;
            return ::waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 7;
        });
        check("a signal: ", [&] {
            const itimerval once{{0, 0}, {0, k_a_while_us}};
            ::setitimer(ITIMER_REAL, &once, nullptr);
            int got = 0;
            return ::sigwait(&alarm_only, &got) == 0 && got == SIGALRM;
        });
        std::printf("woken by all 6\n");
        std::fflush(stdout);
    });
}
