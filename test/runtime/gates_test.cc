// SPDX-License-Identifier: MIT
// Gates in general: from where they are called, and how they are turned off.
#include "test/runtime/gates_test.h"

#include <cstdlib>
#include <mutex>

#include <linux/futex.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <unistd.h>

using namespace pirn;
using namespace pirn::test;

#ifdef PIRN_SPLIT

namespace {

// Does not fit on a small block, so that it hops, and ends in a jump to the gate.
[[gnu::noinline]] ssize_t read_at_the_end(int fd) {
    {
        volatile char large[8000];
        large[0] = 1;
        large[sizeof large - 1] = large[0];
    }
    return ::read(fd, byte_buffer, 8);
}

}  // namespace

TEST_CASE("a call at the end of a function that hopped lets others run") {
    try_readers(false, {{"read", [](int fd) { return read_at_the_end(fd) == 2; }}});
}

TEST_CASE("a goroutine that is nothing but a call lets others run") {
    std::chrono::steady_clock::duration away{};
    run([&] {
        const std::size_t before = num_goroutine();
        go([] { ::poll(nullptr, 0, 1000); });
        const auto began = std::chrono::steady_clock::now();
        for (int i = 0; i < 10; ++i) yield();
        away = std::chrono::steady_clock::now() - began;
        wait_until([&] { return num_goroutine() == before; });
    }, {.procs = 1});
    CHECK(away < 500ms);
}

TEST_CASE("PIRN_DEBUG=gates=0 turns them off") {
    ::setenv("PIRN_DEBUG", "gates=0", 1);
    pair p;
    std::mutex mu;
    std::pair<unsigned, unsigned> while_locked{9, 9};
    const outcome o = attempt({"read", [&] {
        const std::lock_guard hold(mu);
        while_locked = held();
        return ::read(p.in, byte_buffer, 8) == 2;
    }, [&] { p.put(); }});
    ::unsetenv("PIRN_DEBUG");
    CHECK_FALSE(o.alive);
    CHECK(o.right);
    CHECK(while_locked == std::pair(0u, 0u));
}

TEST_CASE("a wait for no time does not give the P away") {
    const timespec none{};
    timeval no_time{};
    epoll_event event;
    const int set = ::epoll_create1(EPOLL_CLOEXEC);
    REQUIRE(set >= 0);
    try_prompt_calls({
        {"poll", [] { return ::poll(nullptr, 0, 0) == 0; }, false},
        {"ppoll", [&] { return ::ppoll(nullptr, 0, &none, nullptr) == 0; }, false},
        {"select", [&] { return ::select(0, nullptr, nullptr, nullptr, &no_time) == 0; }, false},
        {"pselect", [&] {
            return ::pselect(0, nullptr, nullptr, nullptr, &none, nullptr) == 0;
        }, false},
        {"epoll_wait", [&] { return ::epoll_wait(set, &event, 1, 0) == 0; }, false},
        {"syscall(SYS_getpid)", [] { return ::syscall(SYS_getpid) == ::getpid(); }, false},
        {"syscall(SYS_futex), to wake", [] {
            int word = 0;
            return ::syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0) == 0;
        }, false},
    });
    ::close(set);
}

TEST_CASE("system calls by number are made as ones that may block, where they may") {
    // With arguments that each of them refuses.
    static constexpr long k_blocking[] = {
        SYS_read, SYS_readv, SYS_pread64, SYS_preadv, SYS_preadv2, SYS_write, SYS_writev,
        SYS_pwrite64, SYS_pwritev, SYS_pwritev2, SYS_openat, SYS_openat2, SYS_connect, SYS_accept,
        SYS_accept4, SYS_recvfrom, SYS_recvmsg, SYS_recvmmsg, SYS_sendto, SYS_sendmsg,
        SYS_sendmmsg, SYS_pselect6, SYS_epoll_pwait, SYS_epoll_pwait2, SYS_io_uring_enter,
        SYS_io_getevents, SYS_nanosleep, SYS_clock_nanosleep, SYS_waitid};
    const auto refused = [](long number) {
        errno = 0;
        const long result = ::syscall(number, -1L, -1L, -1L, -1L, -1L, -1L);
        return std::pair(result, errno);
    };
    for (const long number : k_blocking) {
        const auto expected = refused(number);
        CAPTURE(number);
        try_prompt_calls({{"syscall", [&] { return refused(number) == expected; }}});
    }
    for (const long number : {SYS_close, SYS_dup, SYS_lseek, SYS_fcntl, SYS_ioctl}) {
        const auto expected = refused(number);
        CAPTURE(number);
        try_prompt_calls({{"syscall", [&] { return refused(number) == expected; }, false}});
    }
}

#endif
