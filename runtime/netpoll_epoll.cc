// SPDX-License-Identifier: MIT
// The poller on epoll: one instance for the process, edge-triggered, an eventfd to break a wait.
#include <cerrno>
#include <ctime>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/base/check.h"
#include "runtime/base/clock.h"
#include "runtime/fork.h"
#include "runtime/netpoll.h"
#include "runtime/sched.h"

namespace pirn::rt {
namespace {

constexpr int k_events = 128;

struct instance {
    int epoll = -1;
    int wakeup = -1;
    base::atomic<bool> no_pwait2{false};
    // How many descriptors were registered; for its order, see ORD(poll-open).
    base::atomic<std::uint32_t> opened{0};

    instance() { open(); }
    void open() {
        epoll = ::epoll_create1(EPOLL_CLOEXEC);
        if (epoll < 0) base::fatalf("netpoll: epoll_create1 failed: errno %d", errno);
        wakeup = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (wakeup < 0) base::fatalf("netpoll: eventfd failed: errno %d", errno);
        epoll_event e{};
        e.events = EPOLLIN;
        e.data.u64 = 0;  // no descriptor: the breaker
        if (::epoll_ctl(epoll, EPOLL_CTL_ADD, wakeup, &e) != 0)
            base::fatalf("netpoll: epoll_ctl failed: errno %d", errno);
    }
};

base::atomic<bool> made{false};  // for a fork; relaxed, as nothing else is read by it

instance& the() {
    static instance* const i = new instance;  // never destroyed: descriptors may outlive a run
    made.store(true, std::memory_order_relaxed);
    return *i;
}

// A pointer in the low 48 bits, the tag above: both CPUs' user addresses fit.
constexpr int k_tag_shift = 48;

// epoll_wait rounds to milliseconds; epoll_pwait2 does not (Linux 5.11; emulators may lack it).
int wait_events(instance& i, epoll_event* events, std::int64_t until_ns) {
    std::int64_t left_ns = -1;
    if (until_ns == 0) {
        left_ns = 0;
    } else if (until_ns != base::k_never_ns) {
        left_ns = until_ns - base::now_ns();
        if (left_ns < 0) left_ns = 0;
    }
    if (left_ns > 0 && !i.no_pwait2.load(std::memory_order_relaxed)) {
        timespec t;
        t.tv_sec = left_ns / 1'000'000'000;
        t.tv_nsec = left_ns % 1'000'000'000;
        const long n = ::syscall(SYS_epoll_pwait2, i.epoll, events, k_events, &t, nullptr, 0);
        if (n >= 0 || errno == EINTR) return static_cast<int>(n);
        // Relaxed: everybody finds out by itself otherwise.
        i.no_pwait2.store(true, std::memory_order_relaxed);
    }
    int ms = -1;
    if (left_ns == 0) ms = 0;
    if (left_ns > 0) {
        const std::int64_t rounded = (left_ns + 999'999) / 1'000'000;
        ms = rounded > 1'000'000'000 ? 1'000'000'000 : static_cast<int>(rounded);
    }
    return ::epoll_wait(i.epoll, events, k_events, ms);
}

}  // namespace

int poll_open(int native, io::detail::descriptor* d, std::uint16_t tag) {
    epoll_event e{};
    e.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | static_cast<std::uint32_t>(EPOLLET);
    e.data.u64 = reinterpret_cast<std::uintptr_t>(d) | std::uint64_t{tag} << k_tag_shift;
    instance& i = the();
    // ORD(poll-open): release; who is given the descriptor by the kernel sees what it was made of.
    // The kernel sees to that as well, but nobody says so. Pairs with the acquire in poll_net.
    i.opened.fetch_add(1, std::memory_order_release);
    return ::epoll_ctl(i.epoll, EPOLL_CTL_ADD, native, &e) == 0 ? 0 : errno;
}

void poll_close(int native) {
    epoll_event e{};
    ::epoll_ctl(the().epoll, EPOLL_CTL_DEL, native, &e);
}

void poll_net(sched* s, std::int64_t until_ns, base::fifo<qnode>& found) {
    instance& i = the();
    epoll_event events[k_events];
    s->polls.fetch_add(1, std::memory_order_relaxed);
    const int n = wait_events(i, events, until_ns);
    // ORD(poll-open): acquire; pairs with the release in poll_open.
    static_cast<void>(i.opened.load(std::memory_order_acquire));
    for (int at = 0; at < n; ++at) {
        const epoll_event& e = events[at];
        if (e.data.u64 == 0) {
            // Left for the one that waits: a mere look does not take its wakeup away.
            if (until_ns == 0) continue;
            std::uint64_t count;
            [[maybe_unused]] const ssize_t got = ::read(i.wakeup, &count, sizeof count);
            continue;
        }
        const std::uint64_t address = e.data.u64 & ((std::uint64_t{1} << k_tag_shift) - 1);
        const auto tag = static_cast<std::uint16_t>(e.data.u64 >> k_tag_shift);
        const bool hangup = (e.events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI)) != 0;
        descriptor_event(reinterpret_cast<io::detail::descriptor*>(address), tag,
                         {(e.events & EPOLLIN) != 0 || hangup,
                          (e.events & EPOLLOUT) != 0 || (e.events & (EPOLLHUP | EPOLLERR)) != 0,
                          hangup},
                         found);
    }
}

// What was registered stays so with the parent's, whose events are the parent's.
void forget_poller() {
    if (!made.load(std::memory_order_relaxed)) return;
    instance& i = the();
    ::close(i.epoll);
    ::close(i.wakeup);
    i.open();
}

void poll_break() {
    instance& i = the();
    const std::uint64_t one = 1;
    const int saved = errno;
    [[maybe_unused]] const ssize_t put = ::write(i.wakeup, &one, sizeof one);
    errno = saved;
}

}  // namespace pirn::rt
