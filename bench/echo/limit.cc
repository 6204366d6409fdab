// SPDX-License-Identifier: MIT
// echo, limit: one thread and an edge-triggered epoll loop, with no more system calls than needed.
//
// A read that does not fill the buffer has emptied the socket, so no second read asks whether
// there is more: the next arrival is a new edge.
#include <poll.h>
#include <sys/epoll.h>

#include "server.h"

namespace {

void watch(int epoll_fd, int fd) {
    epoll_event event = {};
    event.events = EPOLLIN | EPOLLRDHUP | EPOLLET;
    event.data.fd = fd;
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) bench::fail_errno("epoll_ctl", errno);
}

void accept_all(int epoll_fd, int listener) {
    for (;;) {
        const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EAGAIN) return;
            bench::fail_errno("accept4", errno);
        }
        bench::set_no_delay(fd);
        watch(epoll_fd, fd);
    }
}

// False when the peer is gone. A peer that does not read would hold up all others here; the
// benchmark's client has one small message under way, so the socket's buffer never fills.
bool write_all(int fd, const char* data, std::size_t size) {
    while (size > 0) {
        const ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
        if (n > 0) {
            data += n;
            size -= static_cast<std::size_t>(n);
        } else if (errno == EAGAIN) {
            pollfd writable = {fd, POLLOUT, 0};
            poll(&writable, 1, -1);
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

void echo(int fd) {
    char buffer[bench::k_buffer_size_bytes];
    for (;;) {
        const ssize_t n = recv(fd, buffer, sizeof buffer, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0 || !write_all(fd, buffer, static_cast<std::size_t>(n))) {
            close(fd);
            return;
        }
        if (static_cast<std::size_t>(n) < sizeof buffer) return;
    }
}

}  // namespace

int main(int argc, char** argv) {
    bench::parse(argc, argv, {});
    bench::end_with_stdin();
    const int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0) bench::fail_errno("epoll_create1", errno);
    const int listener = bench::listen_and_announce(SOCK_NONBLOCK);
    watch(epoll_fd, listener);
    epoll_event events[256];
    for (;;) {
        const int n = epoll_wait(epoll_fd, events, 256, -1);
        if (n < 0 && errno != EINTR) bench::fail_errno("epoll_wait", errno);
        for (int i = 0; i < n; i++) {
            const int fd = events[i].data.fd;
            if (fd == listener) {
                accept_all(epoll_fd, listener);
                continue;
            }
            echo(fd);
        }
    }
}
