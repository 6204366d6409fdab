// SPDX-License-Identifier: MIT
// io::fd's reads and writes: the system calls, and writing all of several buffers.
#include <cerrno>

#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "runtime/descriptor.h"
#include "runtime/m.h"
#include "runtime/self.h"

namespace pirn::io::detail {

using namespace rt;

namespace {

struct read_request {
    std::span<std::byte> buffer;
};

struct write_request {
    iovec* pieces;
    int count;
    bool socket;
};

ssize_t do_read(int native, void* arg) {
    auto& r = *static_cast<read_request*>(arg);
    const ssize_t n = ::read(native, r.buffer.data(), r.buffer.size());
    return n < 0 ? -errno : n;
}

// A broken pipe of a socket raises nothing; for other files the M is marked, so that the handler
// in signal.cc knows whose SIGPIPE it is.
ssize_t do_write(int native, void* arg) {
    auto& w = *static_cast<write_request*>(arg);
    if (w.socket) {
        msghdr message{};
        message.msg_iov = w.pieces;
        message.msg_iovlen = static_cast<std::size_t>(w.count);
        const ssize_t n = ::sendmsg(native, &message, MSG_NOSIGNAL);
        return n < 0 ? -errno : n;
    }
    m* mp = self();
    if (mp != nullptr) mp->writing_fd = true;
    const ssize_t n = ::writev(native, w.pieces, w.count);
    const int e = errno;
    if (mp != nullptr) mp->writing_fd = false;
    return n < 0 ? -e : n;
}

}  // namespace

std::expected<std::size_t, std::error_code> read_some(descriptor* d, std::span<std::byte> buffer,
                                                      const cancellation& until) {
    if (buffer.empty()) return 0;
    read_request r{buffer};
    call c(d, true, until);
    if (const int e = c.begin()) return std::unexpected(c.error_of(e));
    const ssize_t n = c.try_until_ready(do_read, &r);
    if (n > 0 && c.is_tcp() && static_cast<std::size_t>(n) < buffer.size()) c.mark_drained();
    c.end();
    if (n < 0) return std::unexpected(c.error_of(n));
    return static_cast<std::size_t>(n);
}

std::expected<std::size_t, std::error_code> write_all(descriptor* d,
                                                      const std::span<const std::byte>* buffers,
                                                      std::size_t count,
                                                      const cancellation& until) {
    constexpr std::size_t k_pieces = 16;
    call c(d, false, until);
    if (const int e = c.begin()) return std::unexpected(c.error_of(e));
    std::size_t total = 0, at = 0, offset = 0;
    ssize_t n = 0;
    while (at < count) {
        iovec pieces[k_pieces];
        int used = 0;
        for (std::size_t i = at, skip = offset; i < count && used < int{k_pieces}; ++i, skip = 0) {
            if (buffers[i].size() == skip) continue;
            pieces[used++] = {const_cast<std::byte*>(buffers[i].data()) + skip,
                              buffers[i].size() - skip};
        }
        if (used == 0) break;
        write_request w{pieces, used, c.is_socket()};
        n = c.try_until_ready(do_write, &w);
        if (n < 0) break;
        total += static_cast<std::size_t>(n);
        // Steps over what is written.
        for (auto left = static_cast<std::size_t>(n); at < count;) {
            const std::size_t rest = buffers[at].size() - offset;
            if (left < rest) {
                offset += left;
                break;
            }
            left -= rest;
            offset = 0;
            ++at;
        }
    }
    c.end();
    if (n < 0) return std::unexpected(c.error_of(n));
    return total;
}

}  // namespace pirn::io::detail
