// SPDX-License-Identifier: MIT
// Stream connections: listen, accept, dial, over TCP and unix sockets. Every call that blocks,
// blocks the goroutine and not its thread.
//
// Addresses are text: "127.0.0.1:80", "[::1]:80", "localhost:80", ":80" (to listen: every local
// address, IPv4 and IPv6; to dial: the loopback), "unix:/path", "unix:@name" (an abstract name).
// Hosts are numeric or "localhost". Port 0 or none lets the kernel choose one. Text that is none of
// these is std::errc::invalid_argument, and the error's message says what is wrong with it.
#pragma once

#include <cstddef>
#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <pirn/io.h>

namespace pirn {

namespace detail {
struct net_access;
struct listener_state;
void destroy_listener(listener_state*) noexcept;
}  // namespace detail

// One end of a connection. Movable; the destructor closes. One goroutine may read while another
// writes; two readers (or two writers) take turns, each call as a whole. close() and the deadlines
// may be called at any time from anywhere. TCP_NODELAY is set, and keep-alive at 15 s, as in Go.
//
// Every call that blocks, here and below, takes a context: once that is done, it returns the
// context's error. The connection stays as it is; of a write, some may be written.
class conn {
  public:
    conn() = default;
    conn(conn&&) noexcept = default;
    conn& operator=(conn&&) noexcept = default;

    // Blocks until at least a byte is there; the count. 0: end of stream (or an empty buffer). A
    // peer that reset the connection is std::errc::connection_reset.
    std::expected<std::size_t, std::error_code> read(std::span<std::byte> buffer,
                                                     const cancellation& ctx = {}) {
        return fd_.read(buffer, ctx);
    }
    // Blocks until the kernel has taken all of it; the count, or the error (some of it may be
    // written then). A peer that is gone is std::errc::broken_pipe or connection_reset; there is
    // no SIGPIPE.
    std::expected<std::size_t, std::error_code> write(std::span<const std::byte> bytes,
                                                      const cancellation& ctx = {}) {
        return fd_.write(bytes, ctx);
    }
    // The same for several buffers, in as few system calls as there can be.
    std::expected<std::size_t, std::error_code> write_v(
        std::span<const std::span<const std::byte>> buffers, const cancellation& ctx = {}) {
        return fd_.write_v(buffers, ctx);
    }

    // Ends this direction: the peer reads what was written and then the end of the stream. Reading
    // goes on. It takes its turn as a write does: blocks while another goroutine is in write, whose
    // bytes come before the end, and fails with std::errc::timed_out past the write deadline.
    std::error_code close_write();

    // Past the deadline, reads (writes) blocked then or begun later fail with std::errc::timed_out;
    // a default-constructed time point means none.
    void set_deadline(clock::time_point t) { fd_.set_deadline(t); }
    void set_read_deadline(clock::time_point t) { fd_.set_read_deadline(t); }
    void set_write_deadline(clock::time_point t) { fd_.set_write_deadline(t); }

    // In the form that dial takes; empty when the connection is closed or reset. A unix socket that
    // was not bound, as the dialing end mostly is, has no name: "unix:".
    std::string local_address() const;
    std::string remote_address() const;

    // Wakes every caller blocked on the connection with std::errc::operation_canceled; later calls
    // fail with std::errc::bad_file_descriptor. Does not block: the kernel goes on sending what was
    // written. But where bytes have arrived that nobody read, it sends a reset instead, which may
    // destroy what the peer has yet to read: to be sure, close_write, and read up to the end.
    void close() noexcept { fd_.close(); }

    // The socket's number, still owned by this object; -1 when there is none or it is closed.
    int native_handle() const noexcept { return fd_.native_handle(); }
    explicit operator bool() const noexcept { return static_cast<bool>(fd_); }

  private:
    friend struct detail::net_access;
    explicit conn(io::fd fd) noexcept : fd_(std::move(fd)) {}

    io::fd fd_;
};

struct listen_options {
    int backlog = 0;  // connections that may wait for accept; 0: SOMAXCONN; the system has a limit
};

// A socket that connections come in by. Movable; the destructor closes. Several goroutines may
// accept at a time; close() may be called at any time from anywhere.
class listener {
  public:
    listener() = default;
    listener(listener&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
    listener& operator=(listener&& other) noexcept {
        if (this != &other) {
            detail::destroy_listener(state_);
            state_ = std::exchange(other.state_, nullptr);
        }
        return *this;
    }
    ~listener() { detail::destroy_listener(state_); }

    // Blocks until a connection is there. At the limit of descriptors: too_many_files_open (of the
    // process) or too_many_files_open_in_system; the connection goes on waiting, and the listener
    // is as good as before. A client that reset its connection while it waited may be passed over
    // or accepted; in the latter case the first read tells.
    std::expected<conn, std::error_code> accept(const cancellation& ctx = {});

    // Past the deadline, accept fails with std::errc::timed_out; a default-constructed time point
    // means none.
    void set_deadline(clock::time_point t);

    // In the form that dial takes, with the port that the kernel chose; also after close().
    std::string address() const;

    // Wakes every goroutine blocked in accept with std::errc::operation_canceled; later calls fail
    // with std::errc::bad_file_descriptor. Connections that wait for accept are reset. A unix
    // socket's file is removed.
    void close() noexcept;

    // The socket's number, still owned by this object; -1 when there is none or it is closed.
    int native_handle() const noexcept;
    explicit operator bool() const noexcept { return state_ != nullptr; }

  private:
    friend struct detail::net_access;
    explicit listener(detail::listener_state* state) noexcept : state_(state) {}

    detail::listener_state* state_ = nullptr;
};

// Does not block. SO_REUSEADDR is set, so that a server can be started again at once. A port that
// somebody listens on is std::errc::address_in_use.
std::expected<listener, std::error_code> listen(std::string_view address,
                                                listen_options options = {});

// Blocks until the connection stands. Nobody listening is std::errc::connection_refused.
std::expected<conn, std::error_code> dial(std::string_view address,
                                          const cancellation& ctx = {});

}  // namespace pirn
