// SPDX-License-Identifier: MIT
// What the echo servers share: the listening socket, the port on stdout, and their end.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <thread>

#include "config.h"
#include "harness/harness.h"

namespace bench {

// A server ends by SIGTERM's default action, or when whoever started it closes its stdin: so none
// is left behind when that one dies. The thread sleeps in read() and costs the measurement nothing.
inline void end_with_stdin() {
    std::thread([] {
        char byte;
        while (read(STDIN_FILENO, &byte, 1) > 0) {
        }
        _exit(0);
    }).detach();
}

// Tells the one who started us which port we were given.
inline void announce(unsigned port) {
    std::printf("%u\n", port);
    std::fflush(stdout);
}

// A listening socket on a port of the kernel's choice, which is announced.
inline int listen_and_announce(int socket_flags) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | socket_flags, 0);
    if (fd < 0) fail_errno("socket", errno);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (bind(fd, generic, length) != 0) fail_errno("bind", errno);
    if (listen(fd, SOMAXCONN) != 0) fail_errno("listen", errno);
    if (getsockname(fd, generic, &length) != 0) fail_errno("getsockname", errno);
    announce(ntohs(address.sin_port));
    return fd;
}

// Small answers are not held back for more to come (Go's and pirn's connections do so by default).
inline void set_no_delay(int fd) {
    const int on = 1;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) {
        fail_errno("setsockopt", errno);
    }
}

}  // namespace bench
