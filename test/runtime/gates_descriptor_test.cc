// SPDX-License-Identifier: MIT
// Gates of calls on descriptors: reading, writing, waiting for them, connecting.
#include "test/runtime/gates_test.h"

#include <cstdio>
#include <functional>

#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>

using namespace pirn;
using namespace pirn::test;

#ifdef PIRN_SPLIT

extern "C" {
ssize_t __read_chk(int, void*, size_t, size_t);
ssize_t __recv_chk(int, void*, size_t, size_t, int);
ssize_t __recvfrom_chk(int, void*, size_t, size_t, int, sockaddr*, socklen_t*);
int __poll_chk(pollfd*, nfds_t, int, size_t);
int __ppoll_chk(pollfd*, nfds_t, const timespec*, const sigset_t*, size_t);
int __dprintf_chk(int, int, const char*, ...);
}

TEST_CASE("reads of a silent pipe let others run") {
    try_readers(false, {
        {"read", [](int fd) { return ::read(fd, byte_buffer, 8) == 2 && byte_buffer[0] == 'x'; }},
        {"readv", [](int fd) {
            iovec to{byte_buffer, 8};
            return ::readv(fd, &to, 1) == 2;
        }},
        {"__read_chk", [](int fd) { return ::__read_chk(fd, byte_buffer, 8, 64) == 2; }},
        {"syscall(SYS_read)", [](int fd) { return ::syscall(SYS_read, fd, byte_buffer, 8) == 2; }},
    });
}

TEST_CASE("waits for a descriptor let others run") {
    try_readers(false, {
        {"poll", [](int fd) {
            pollfd p{fd, POLLIN, 0};
            return ::poll(&p, 1, -1) == 1;
        }},
        {"ppoll", [](int fd) {
            pollfd p{fd, POLLIN, 0};
            return ::ppoll(&p, 1, nullptr, nullptr) == 1;
        }},
        {"__poll_chk", [](int fd) {
            pollfd p{fd, POLLIN, 0};
            return ::__poll_chk(&p, 1, -1, sizeof p) == 1;
        }},
        {"__ppoll_chk", [](int fd) {
            pollfd p{fd, POLLIN, 0};
            return ::__ppoll_chk(&p, 1, nullptr, nullptr, sizeof p) == 1;
        }},
        {"select", [](int fd) {
            fd_set set;
            FD_ZERO(&set);
            FD_SET(fd, &set);
            return ::select(fd + 1, &set, nullptr, nullptr, nullptr) == 1;
        }},
        {"pselect", [](int fd) {
            fd_set set;
            FD_ZERO(&set);
            FD_SET(fd, &set);
            return ::pselect(fd + 1, &set, nullptr, nullptr, nullptr, nullptr) == 1;
        }},
    });
}

namespace {

// Waits in an epoll set of its own, which knows the descriptor.
bool wait_in_epoll(int fd, const std::function<int(int, epoll_event*)>& wait) {
    const int set = ::epoll_create1(EPOLL_CLOEXEC);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    ::epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
    epoll_event found{};
    const bool right = wait(set, &found) == 1 && found.data.fd == fd;
    ::close(set);
    return right;
}

}  // namespace

TEST_CASE("waits in epoll let others run") {
    try_readers(false, {
        {"epoll_wait", [](int fd) {
            return wait_in_epoll(fd, [](int s, epoll_event* e) {
                return ::epoll_wait(s, e, 1, -1);
            });
        }},
        {"epoll_pwait", [](int fd) {
            return wait_in_epoll(fd, [](int s, epoll_event* e) {
                return ::epoll_pwait(s, e, 1, -1, nullptr);
            });
        }},
        {"epoll_pwait2", [](int fd) {
            return wait_in_epoll(fd, [](int s, epoll_event* e) {
                const int n = ::epoll_pwait2(s, e, 1, nullptr, nullptr);
                return n < 0 && errno == ENOSYS ? ::epoll_pwait(s, e, 1, -1, nullptr) : n;
            });
        }},
    });
}

TEST_CASE("writes to a full pipe let others run") {
    try_writers(false, {
        {"write", [](int fd) { return ::write(fd, "y", 1) == 1; }},
        {"writev", [](int fd) {
            iovec from{byte_buffer, 1};
            return ::writev(fd, &from, 1) == 1;
        }},
        {"dprintf", [](int fd) { return ::dprintf(fd, "%d%s%.1f", 12, "ab", 2.5) == 7; }},
        {"__dprintf_chk", [](int fd) { return ::__dprintf_chk(fd, 1, "%d", 12) == 2; }},
    });
}

TEST_CASE("receiving lets others run") {
    try_readers(true, {
        {"recv", [](int fd) { return ::recv(fd, byte_buffer, 8, 0) == 2; }},
        {"recvfrom", [](int fd) {
            return ::recvfrom(fd, byte_buffer, 8, 0, nullptr, nullptr) == 2;
        }},
        {"recvmsg", [](int fd) {
            iovec to{byte_buffer, 8};
            msghdr message{};
            message.msg_iov = &to;
            message.msg_iovlen = 1;
            return ::recvmsg(fd, &message, 0) == 2;
        }},
        {"__recv_chk", [](int fd) { return ::__recv_chk(fd, byte_buffer, 8, 64, 0) == 2; }},
        {"__recvfrom_chk", [](int fd) {
            return ::__recvfrom_chk(fd, byte_buffer, 8, 64, 0, nullptr, nullptr) == 2;
        }},
    });
}

TEST_CASE("sending lets others run") {
    try_writers(true, {
        {"send", [](int fd) { return ::send(fd, "y", 1, MSG_NOSIGNAL) == 1; }},
        {"sendto", [](int fd) { return ::sendto(fd, "y", 1, MSG_NOSIGNAL, nullptr, 0) == 1; }},
        {"sendmsg", [](int fd) {
            iovec from{byte_buffer, 1};
            msghdr message{};
            message.msg_iov = &from;
            message.msg_iovlen = 1;
            return ::sendmsg(fd, &message, MSG_NOSIGNAL) == 1;
        }},
    });
}

namespace {

// A socket that listens on a name of its own, with room for `backlog` more than one.
struct listener {
    int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un name{};
    socklen_t bytes = sizeof(sa_family_t);
    explicit listener(int backlog) {
        name.sun_family = AF_UNIX;
        ::bind(fd, reinterpret_cast<sockaddr*>(&name), bytes);  // the kernel finds a name
        bytes = sizeof name;
        ::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &bytes);
        REQUIRE(::listen(fd, backlog) == 0);
    }
    ~listener() { ::close(fd); }
    listener(const listener&) = delete;
    bool connect() const {
        const int to = ::socket(AF_UNIX, SOCK_STREAM, 0);
        const bool right = ::connect(to, reinterpret_cast<const sockaddr*>(&name), bytes) == 0;
        ::close(to);
        return right;
    }
};

bool close_accepted(int fd) { return fd >= 0 && ::close(fd) == 0; }

}  // namespace

TEST_CASE("accept and connect let others run") {
    listener l(4), full(0);
    CHECK(full.connect());
    try_all({
        {"accept", [&] { return close_accepted(::accept(l.fd, nullptr, nullptr)); },
         [&] { l.connect(); }},
        {"accept4", [&] { return close_accepted(::accept4(l.fd, nullptr, nullptr, 0)); },
         [&] { l.connect(); }},
        {"connect", [&] { return full.connect(); },
         [&] { close_accepted(::accept(full.fd, nullptr, nullptr)); }},
    });
}

#endif
