// SPDX-License-Identifier: MIT
// echo, pthread: a thread for each connection, in blocking reads and writes.
#include "server.h"

namespace {

void echo(int fd) {
    char buffer[bench::k_buffer_size_bytes];
    for (;;) {
        const ssize_t n = recv(fd, buffer, sizeof buffer, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        // A blocking send takes all of it, or the peer is gone.
        if (send(fd, buffer, static_cast<std::size_t>(n), MSG_NOSIGNAL) != n) break;
    }
    close(fd);
}

}  // namespace

int main(int argc, char** argv) {
    bench::parse(argc, argv, {});
    bench::end_with_stdin();
    const int listener = bench::listen_and_announce(0);
    for (;;) {
        const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd < 0) bench::fail_errno("accept4", errno);
        bench::set_no_delay(fd);
        std::thread(echo, fd).detach();
    }
}
