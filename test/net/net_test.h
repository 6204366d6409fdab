// SPDX-License-Identifier: MIT
// What the tests of net/ share: checks that goroutines may make, waiting on conditions, connected
// pairs, and raw sockets for the other side.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <pirn/debug.h>
#include <pirn/net.h>
#include <pirn/runtime.h>
#include <pirn/sleep.h>

#include "runtime/netpoll.h"
#include "test/support/fixture.h"

namespace net_test {

using namespace std::chrono_literals;

// Longer than any wait of a test that works, also under emulation on a busy machine.
inline constexpr auto k_patience = 60s;

// Catch2 asserts on the main thread only: goroutines leave their complaints here.
class verdict {
  public:
    bool check(bool ok, const char* what, int line) {
        if (ok) return true;
        const std::lock_guard hold(mutex_);
        if (complaints_.size() < 2000)
            complaints_ += "line " + std::to_string(line) + ": " + what + "\n";
        return false;
    }
    std::string complaints() {
        const std::lock_guard hold(mutex_);
        return complaints_;
    }

  private:
    std::mutex mutex_;
    std::string complaints_;
};

#define EXPECT(v, ...) (v).check(static_cast<bool>(__VA_ARGS__), #__VA_ARGS__, __LINE__)

// Runs body(verdict) as the main goroutine on each number of Ps.
template <class Body>
void on_each_procs(Body body) {
    pirn::test::on_procs([&](int procs) {
        verdict v;
        pirn::run([&] { body(v); }, {.procs = procs});
        INFO("with " << procs << " Ps");
        CHECK(v.complaints() == "");
    });
}

[[noreturn]] inline void give_up(const char* what) {
    std::fprintf(stderr, "still waiting after a minute: %s\n", what);
    pirn::dump_goroutines(STDERR_FILENO);
    std::abort();
}

// Waits on a condition; a test whose condition never comes is ended with a dump.
template <class Condition>
void wait_until(const char* what, Condition condition) {
    const auto limit = pirn::clock::now() + k_patience;
    while (!condition()) {
        if (pirn::clock::now() > limit) give_up(what);
        pirn::sleep_for(50us);
    }
}

// Until `count` goroutines are parked for the poller's events (those that wait for another one's
// turn are not among them).
inline void wait_parked(std::uint32_t count) {
    wait_until("goroutines to park in io", [&] { return pirn::rt::io_waiters() == count; });
}

// Goroutines that are waited for before what they refer to goes away.
class group {
  public:
    ~group() { join(); }
    template <class F>
    void go(F f) {
        running_.fetch_add(1);
        pirn::go([this, f = std::move(f)]() mutable {
            f();
            running_.fetch_sub(1);
        });
    }
    void join() {
        wait_until("goroutines to end", [&] { return running_.load() == 0; });
    }
    int running() const { return running_.load(); }

  private:
    std::atomic<int> running_{0};
};

inline std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span(text));
}

template <class T>
bool fails_with(const std::expected<T, std::error_code>& result, std::errc error) {
    return !result.has_value() && result.error() == error;
}

// One read; "" at the end of the stream, "error: ..." for an error.
inline std::string read_some(pirn::conn& c, std::size_t at_most = 4096) {
    std::string text(at_most, '\0');
    const auto got = c.read(std::as_writable_bytes(std::span(text)));
    if (!got) return "error: " + got.error().message();
    text.resize(*got);
    return text;
}

// Reads until `size` bytes are there, or the stream or its luck ends.
inline std::string read_exactly(pirn::conn& c, std::size_t size) {
    std::string text;
    while (text.size() < size) {
        const std::string piece = read_some(c, std::min<std::size_t>(size - text.size(), 1 << 16));
        if (piece.empty() || piece.starts_with("error: ")) return text + piece;
        text += piece;
    }
    return text;
}

struct pair {
    pirn::conn a;  // dialed
    pirn::conn b;  // accepted
};

// Two ends of one connection, by way of `address`.
inline pair connect_pair(verdict& v, std::string_view address = "127.0.0.1:0") {
    auto l = pirn::listen(address);
    if (!EXPECT(v, l.has_value())) return {};
    auto a = pirn::dial(l->address());
    if (!EXPECT(v, a.has_value())) return {};
    auto b = l->accept();
    if (!EXPECT(v, b.has_value())) return {};
    return {std::move(*a), std::move(*b)};
}

// Bytes that differ from one place to the next, so that a loss or a swap shows.
inline std::string pattern(std::size_t size) {
    std::string text(size, '\0');
    std::uint32_t x = 12345;
    for (char& c : text) {
        x = x * 1664525 + 1013904223;
        c = static_cast<char>(x >> 24);
    }
    return text;
}

// The port in "host:port".
inline std::uint16_t port_of(std::string_view address) {
    return static_cast<std::uint16_t>(
        std::strtoul(std::string(address.substr(address.rfind(':') + 1)).c_str(), nullptr, 10));
}

// A blocking IPv4 socket of the plain kind, for a peer without the library; -1 with errno set.
inline int raw_connect(std::uint16_t port) {
    const int s = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s < 0) return -1;
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(s, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0) return s;
    const int error = errno;
    ::close(s);
    errno = error;
    return -1;
}

// Makes the next close of the socket a reset instead of an end.
inline void reset_at_close(int native) {
    const linger now{1, 0};
    ::setsockopt(native, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

// A port of 127.0.0.1 where nobody listens and that nobody else is given while this lives: bound,
// but not listening.
class closed_port {
  public:
    closed_port() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof at;
        auto* any = reinterpret_cast<sockaddr*>(&at);
        if (::bind(fd_, any, size) == 0 && ::getsockname(fd_, any, &size) == 0)
            port_ = ntohs(at.sin_port);
    }
    closed_port(const closed_port&) = delete;
    closed_port& operator=(const closed_port&) = delete;
    ~closed_port() { ::close(fd_); }
    std::uint16_t port() const { return port_; }
    std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
    int native() const { return fd_; }

  private:
    int fd_;
    std::uint16_t port_ = 0;
};

}  // namespace net_test
