// SPDX-License-Identifier: MIT
// Stream connections over TCP and unix sockets: listen, accept, dial.
//
// The runtime's io::fd does the waiting, the turns of readers and writers, the deadlines and the
// waking by close; here are the system calls that make sockets, and what their errors mean.
#include <pirn/net.h>

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "net/address.h"
#include "net/tcp.h"
#include "net/unix.h"
#include "runtime/base/alloc.h"

namespace pirn {

namespace detail {

struct listener_state {
    listener_state(io::fd socket, const net::endpoint& bound)
        : fd(std::move(socket)), address(bound.to_string()), file(bound.file_path()) {}

    io::fd fd;
    const std::string address;
    net::socket_file file;
};

void destroy_listener(listener_state* state) noexcept {
    if (state != nullptr) state->file.remove_once();
    base::destroy(state);
}

// Lets this file make the handles, which nobody else can.
struct net_access {
    static conn make_conn(io::fd fd) noexcept { return conn(std::move(fd)); }
    static listener make_listener(io::fd fd, const net::endpoint& bound) {
        return listener(base::make<listener_state>(std::move(fd), bound));
    }
};

}  // namespace detail

namespace {

using detail::net_access;

std::error_code from_errno(int error) {
    return {error, std::system_category()};
}

std::unexpected<std::error_code> closed_error() {
    return std::unexpected(std::make_error_code(std::errc::bad_file_descriptor));
}

// Closes a socket that came to nothing and gives back why.
std::error_code close_after(int native, int error) {
    ::close(native);
    return from_errno(error);
}

// Hands a socket over to the poller; on an error it is closed.
std::expected<io::fd, std::error_code> adopt_or_close(int native) {
    auto fd = io::fd::adopt(native);
    if (!fd) ::close(native);
    return fd;
}

// Everything before listen(2) that can be said to a socket; false: errno says why.
bool bind_socket(int s, const net::endpoint& at) {
    if (at.family() != AF_UNIX) {
        const int on = 1;
        (void)::setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (at.is_ipv6_wildcard()) net::set_dual_stack(s);
        net::set_tcp_defaults(s);
    }
    return ::bind(s, at.data(), at.size()) == 0;
}

std::expected<listener, std::error_code> listen_on(const net::endpoint& at, int backlog) {
    const int s = ::socket(at.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s < 0) return std::unexpected(from_errno(errno));
    if (!bind_socket(s, at)) return std::unexpected(close_after(s, errno));
    // From here on a unix socket has a file, which goes when we fail.
    net::endpoint bound;
    net::socket_file file(at.file_path());
    if (::listen(s, backlog) != 0 || ::getsockname(s, bound.out(), bound.out_size()) != 0) {
        const int error = errno;
        file.remove_once();
        return std::unexpected(close_after(s, error));
    }
    auto fd = adopt_or_close(s);
    if (!fd) {
        file.remove_once();
        return std::unexpected(fd.error());
    }
    return net_access::make_listener(std::move(*fd), bound);
}

// What became of a connect that was in progress: 0, minus an errno, or -EAGAIN: nothing yet.
// SO_ERROR alone does not tell a connection that stands from one that is still being made.
int connect_outcome(int native) {
    int error = 0;
    socklen_t size = sizeof error;
    if (::getsockopt(native, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return -errno;
    if (error == EINPROGRESS || error == EALREADY) return -EAGAIN;
    if (error != 0 && error != EISCONN) return -error;
    net::endpoint peer;
    if (::getpeername(native, peer.out(), peer.out_size()) == 0) return 0;
    return errno == ENOTCONN ? -EAGAIN : -errno;
}

std::expected<conn, std::error_code> connect_to(const net::endpoint& to,
                                                const cancellation& until) {
    const int s = ::socket(to.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s < 0) return std::unexpected(from_errno(errno));
    if (to.family() != AF_UNIX) net::set_tcp_defaults(s);
    // A connect that a signal interrupted goes on by itself, as one in progress does.
    const int error = ::connect(s, to.data(), to.size()) == 0 ? 0 : errno;
    if (error != 0 && error != EINPROGRESS && error != EINTR)
        return std::unexpected(close_after(s, error));
    // Not before connect: the poller reports a socket that is not connecting as hung up.
    auto fd = adopt_or_close(s);
    if (!fd) return std::unexpected(fd.error());
    if (error != 0) {
        const auto done =
            fd->retry_write([](int native) -> ssize_t { return connect_outcome(native); }, until);
        if (!done) return std::unexpected(done.error());
    }
    return net_access::make_conn(std::move(*fd));
}

std::expected<conn, std::error_code> dial_endpoint(const net::endpoint& to,
                                                   const cancellation& until) {
    constexpr int k_tries =
        3;  // Go's: one free port in thousands is hit, three times in a row never
    for (int i = 1;; ++i) {
        auto made = connect_to(to, until);
        if (!made || to.family() == AF_UNIX || !net::is_self_connected(made->native_handle()))
            return made;
        // Nobody listens there: the kernel let our socket answer itself.
        if (i == k_tries)
            return std::unexpected(std::make_error_code(std::errc::connection_refused));
    }
}

// Empty where the socket is closed: the call fails then.
template <class NameCall>
std::string name_of(const io::fd& fd, NameCall call) {
    net::endpoint e;
    if (call(fd.native_handle(), e.out(), e.out_size()) != 0) return {};
    return e.to_string();
}

}  // namespace

std::expected<listener, std::error_code> listen(std::string_view address, listen_options options) {
    const auto candidates = net::parse_address(address, net::purpose::listen);
    if (!candidates) return std::unexpected(candidates.error());
    const int backlog = options.backlog > 0 ? options.backlog : SOMAXCONN;
    std::error_code error;
    for (const net::endpoint& at : *candidates) {
        auto made = listen_on(at, backlog);
        if (made) return made;
        error = made.error();
        // The next one is for machines without this kind of address, not for ports in use.
        if (error != std::errc::address_family_not_supported &&
            error != std::errc::address_not_available)
            break;
    }
    return std::unexpected(error);
}

std::expected<conn, std::error_code> dial(std::string_view address,
                                          const cancellation& ctx) {
    const auto candidates = net::parse_address(address, net::purpose::dial);
    if (!candidates) return std::unexpected(candidates.error());
    std::error_code first_error;
    for (const net::endpoint& to : *candidates) {
        if (const std::error_code why = ctx.err()) return std::unexpected(why);
        auto made = dial_endpoint(to, ctx);
        if (made) return made;
        if (made.error().category() == context_category()) return made;
        if (!first_error) first_error = made.error();
    }
    return std::unexpected(first_error);
}

std::error_code conn::close_write() {
    const auto done = fd_.retry_write(
        [](int native) -> ssize_t { return ::shutdown(native, SHUT_WR) == 0 ? 0 : -errno; });
    return done ? std::error_code{} : done.error();
}

std::string conn::local_address() const {
    return name_of(fd_, ::getsockname);
}

std::string conn::remote_address() const {
    return name_of(fd_, ::getpeername);
}

std::expected<conn, std::error_code> listener::accept(const cancellation& ctx) {
    if (state_ == nullptr) return closed_error();
    const auto accepted = state_->fd.retry_read([](int native) -> ssize_t {
        for (;;) {
            const int s = ::accept4(native, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (s >= 0) return s;
            // A client that gave up while it was queued took its place with it.
            if (errno != EINTR && errno != ECONNABORTED) return -errno;
        }
    }, ctx);
    if (!accepted) return std::unexpected(accepted.error());
    auto fd = adopt_or_close(static_cast<int>(*accepted));
    if (!fd) return std::unexpected(fd.error());
    return net_access::make_conn(std::move(*fd));
}

void listener::set_deadline(clock::time_point t) {
    if (state_ != nullptr) state_->fd.set_deadline(t);
}

std::string listener::address() const {
    return state_ == nullptr ? "" : state_->address;
}

void listener::close() noexcept {
    if (state_ == nullptr) return;
    state_->file.remove_once();
    state_->fd.close();
}

int listener::native_handle() const noexcept {
    return state_ == nullptr ? -1 : state_->fd.native_handle();
}

}  // namespace pirn
