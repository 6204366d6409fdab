// SPDX-License-Identifier: MIT
// Signal handlers while a goroutine is on a small stack: however they were installed, they have
// room, and what they interrupt does not notice.
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <stdexcept>

#include "test/growth/foreign.h"
#include "test/growth/subject.h"

using growth::at_depth;
using growth::at_each_depth;
using growth::ballast;

namespace {

std::atomic<int> handled{0}, wrong{0};

GROWTH_OPAQUE int needs_room(int x) {
    ballast<3000> room;
    return x + room.damage();
}

// A page whose first access after arm() is a signal: right there, where a call of raise would have
// hopped to a larger stack first.
class trap {
  public:
    trap() : page_(static_cast<volatile char*>(::mmap(nullptr, k_bytes, PROT_NONE,
                                                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {}
    void arm() { ::mprotect(const_cast<char*>(page_), k_bytes, PROT_NONE); }
    void disarm() { ::mprotect(const_cast<char*>(page_), k_bytes, PROT_READ | PROT_WRITE); }
    [[gnu::always_inline]] void spring() { *page_ = 1; }

  private:
    static constexpr std::size_t k_bytes = 65'536;
    volatile char* page_;
};
trap the_trap;

// Ours, and foreign code below it.
void handler(int signal) {
    if (signal == SIGSEGV) the_trap.disarm();
    ballast<1000> room;
    char text[40];
    std::snprintf(text, sizeof text, "%d %g", needs_room(7), 1.5);
    wrong += std::strcmp(text, "7 1.5") != 0;
    wrong += foreign::deep(20) != 20;
    wrong += room.damage();
    ++handled;
}
void handler_with_info(int signal, siginfo_t* info, void* context) {
    wrong += info->si_signo != signal || context == nullptr;
    handler(signal);
}

// The signal's former handler comes back at the end.
class installed {
  public:
    installed(int signal, int flags, bool by_signal = false) : signal_(signal) {
        if (by_signal) {
            struct sigaction now{};
            ::sigaction(signal, nullptr, &former_);
            ::signal(signal, handler);
            ::sigaction(signal, nullptr, &now);
            wrong += now.sa_handler != handler;
            return;
        }
        struct sigaction action{};
        if ((flags & SA_SIGINFO) != 0)
            action.sa_sigaction = handler_with_info;
        else
            action.sa_handler = handler;
        action.sa_flags = flags;
        ::sigaction(signal, &action, &former_);
    }
    ~installed() { ::sigaction(signal_, &former_, nullptr); }
    installed(const installed&) = delete;
    installed& operator=(const installed&) = delete;

  private:
    int signal_;
    struct sigaction former_ {};
};

GROWTH_SUBJECT("signals: on a small stack, however handled") {
    wrong = 0;
    const auto at_every_depth = [&] {
        handled = 0;
        int sprung = 0;
        auto calls = [&] {
            the_trap.arm();
            the_trap.spring();
            ++sprung;
            wrong += needs_room(1) != 1;
        };
        at_each_depth(calls);
        EXPECT(handled == sprung);
    };
    {
        const installed not_on_stack(SIGSEGV, 0);
        at_every_depth();
    }
    {
        const installed with_info(SIGSEGV, SA_SIGINFO | SA_RESTART);
        at_every_depth();
    }
    {
        const installed by_signal(SIGSEGV, 0, true);
        at_every_depth();
    }
    EXPECT(wrong == 0);
}

GROWTH_OPAQUE int throws_from(int frames) {
    ballast<300> room;
    if (frames == 0) throw std::runtime_error("interrupted now and then");
    return throws_from(frames - 1) + room.damage();
}

GROWTH_SUBJECT("signals: a thousand a second, between any two instructions", true) {
    handled = 0;
    wrong = 0;
    const installed by_timer(SIGALRM, SA_RESTART);
    const itimerval often{{0, 1000}, {0, 1000}}, never{};
    ::setitimer(ITIMER_REAL, &often, nullptr);
    int right = 0, rounds = 0;
    while (handled < 200) {
        ++rounds;
        right += at_depth(100, [&] { right += needs_room(1); }) == 100;
        try {
            throws_from(10);
        } catch (const std::runtime_error&) {
            ++right;
        }
        pirn::yield();
    }
    ::setitimer(ITIMER_REAL, &never, nullptr);
    EXPECT(right == 3 * rounds && wrong == 0);
}

}  // namespace
