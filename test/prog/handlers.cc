// SPDX-License-Identifier: MIT
// EXPECT stdout: handled 300 of 300 signals, 0 damaged, 0 wrong
// Handlers that were installed without SA_ONSTACK, by sigaction() and by signal(), and that take
// several KB, while goroutines compute on stacks of 2 KB: they run elsewhere, and the program sees
// its own settings and nothing of that.
#include <atomic>
#include <csignal>
#include <cstdio>
#include <thread>

#include <pthread.h>

#include "test/prog/neighbours.h"

namespace {

constexpr int k_signals = 100;
constexpr int k_handlers = 3;
std::atomic<int> handled{0}, wrong{0};

void check(bool right) { wrong += !right; }

// Takes 6 KB. Not in a function of its own, which might hop: this is what C code does.
#define NEEDS_ROOM()                                                         \
    volatile char room[6000];                                                \
    for (unsigned i = 0; i < sizeof room; i += 8) room[i] = 'x';             \
    handled.fetch_add(1, std::memory_order_relaxed)

void by_sigaction(int number) {
    NEEDS_ROOM();
    check(number == SIGUSR1);
}
void by_sigaction_with_info(int number, siginfo_t* info, void* context) {
    NEEDS_ROOM();
    check(number == SIGUSR2 && info->si_signo == SIGUSR2 && context != nullptr);
}
void by_signal(int number) {
    NEEDS_ROOM();
    check(number == SIGWINCH);
}

struct sigaction current(int number) {
    struct sigaction now {};
    check(::sigaction(number, nullptr, &now) == 0);
    return now;
}

// Each call's `old` is what the call before has given, as if there were nobody in between.
void install() {
    struct sigaction act {}, old {};
    act.sa_handler = by_sigaction;
    ::sigaddset(&act.sa_mask, SIGHUP);
    check(::sigaction(SIGUSR1, &act, &old) == 0 && old.sa_handler == SIG_DFL);
    old = current(SIGUSR1);
    check(old.sa_handler == by_sigaction && ::sigismember(&old.sa_mask, SIGHUP) == 1);
    check((old.sa_flags & (SA_ONSTACK | SA_SIGINFO | SA_RESTART)) == 0);

    act.sa_sigaction = by_sigaction_with_info;
    act.sa_flags = SA_SIGINFO | SA_RESTART;
    check(::sigaction(SIGUSR2, &act, nullptr) == 0);
    old = current(SIGUSR2);
    check(old.sa_sigaction == by_sigaction_with_info);
    check((old.sa_flags & (SA_ONSTACK | SA_SIGINFO | SA_RESTART)) == (SA_SIGINFO | SA_RESTART));
    // Put back as it was read, it is the same.
    check(::sigaction(SIGUSR2, &old, &act) == 0);
    check(act.sa_sigaction == by_sigaction_with_info && act.sa_flags == old.sa_flags);

    check(::signal(SIGWINCH, SIG_IGN) == SIG_DFL);
    check(::signal(SIGWINCH, by_signal) == SIG_IGN);
    check(::signal(SIGWINCH, by_signal) == by_signal);
    check(current(SIGWINCH).sa_handler == by_signal);
    check(::signal(SIGKILL, by_signal) == SIG_ERR && ::signal(4711, by_signal) == SIG_ERR);
}

void uninstall() {
    for (const int number : {SIGUSR1, SIGUSR2, SIGWINCH}) {
        check(::signal(number, SIG_DFL) != SIG_ERR);
        check(current(number).sa_handler == SIG_DFL);
    }
}

// Calls nothing until it has been interrupted so often: the signal finds it on its small stack,
// where raise(), a foreign function, would have hopped away first.
[[gnu::noinline]] void compute_until(int count) {
    while (handled.load(std::memory_order_relaxed) < count) asm volatile("" ::: "memory");
}

// The next signal comes when the one before has been handled.
void send_signals(pthread_t to, int number, int until) {
    for (int n = until - k_signals; n < until; ++n) {
        ::pthread_kill(to, number);
        while (handled.load(std::memory_order_relaxed) <= n) std::this_thread::yield();
    }
}

}  // namespace

int main() {
    return pirn::run([] {
        install();
        int damaged = 0, until = 0;
        for (const int number : {SIGUSR1, SIGUSR2, SIGWINCH}) {
            until += k_signals;
            std::thread sender;
            damaged += neighbours::damaged_by([&] {
                sender = std::thread(send_signals, ::pthread_self(), number, until);
                compute_until(until);
            });
            sender.join();
        }
        uninstall();
        std::printf("handled %d of %d signals, %d damaged, %d wrong\n", handled.load(),
                    k_signals * k_handlers, damaged, wrong.load());
    });
}
