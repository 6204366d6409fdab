// SPDX-License-Identifier: MIT
// The HTTP server of http_server.cc with a thread for each connection instead of a goroutine: what
// the goroutines are compared with. It uses the system only, and the same handler.
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <expected>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "args.h"
#include "http_handler.h"
#include "service.h"

namespace {

constexpr examples::server_usage k_usage{
    .program = "http_threads",
    .summary = "Serves HTTP/1.1 with one thread per connection: GET / greets, POST /echo echoes.",
    .default_listen = "127.0.0.1:8081",
    .has_procs = false,
};

std::unexpected<std::error_code> last_error() {
    return std::unexpected(std::error_code(errno, std::system_category()));
}

// A descriptor with an owner.
class socket_handle {
  public:
    explicit socket_handle(int native) : native_(native) {}
    socket_handle(socket_handle&& other) noexcept : native_(std::exchange(other.native_, -1)) {}
    socket_handle& operator=(socket_handle&&) = delete;
    ~socket_handle() {
        if (native_ >= 0) {
            ::close(native_);
        }
    }
    int native() const { return native_; }

  private:
    int native_;
};

// A blocking connection in the form that serve_http reads and writes.
class blocking_stream {
  public:
    explicit blocking_stream(int native) : native_(native) {}

    std::expected<std::size_t, std::error_code> read(std::span<std::byte> space) {
        for (;;) {
            const ssize_t got = ::recv(native_, space.data(), space.size(), 0);
            if (got >= 0) {
                return static_cast<std::size_t>(got);
            }
            if (errno != EINTR) {
                return last_error();
            }
        }
    }

    std::expected<std::size_t, std::error_code> write(std::span<const std::byte> bytes) {
        std::size_t done = 0;
        while (done < bytes.size()) {
            const ssize_t sent =
                ::send(native_, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
            if (sent < 0 && errno != EINTR) {
                return last_error();
            }
            done += sent < 0 ? 0 : static_cast<std::size_t>(sent);
        }
        return done;
    }

    void close_write() { ::shutdown(native_, SHUT_WR); }

  private:
    int native_;
};

// The connections that have a thread, so that the end of the program can end them and wait.
class open_connections {
  public:
    void add(int native) {
        const std::lock_guard guard(lock_);
        natives_.insert(native);
    }

    // Closes the descriptor under the lock: end_all must never reach a number that the system has
    // given to somebody else meanwhile.
    void close(int native) {
        const std::lock_guard guard(lock_);
        natives_.erase(native);
        ::close(native);
        changed_.notify_all();
    }

    // Blocks until every connection's thread has taken leave.
    void end_all() {
        std::unique_lock guard(lock_);
        for (const int native : natives_) {
            ::shutdown(native, SHUT_RDWR);
        }
        changed_.wait(guard, [this] { return natives_.empty(); });
    }

  private:
    std::mutex lock_;  // Protects natives_.
    std::condition_variable changed_;
    std::set<int> natives_;
};

// Global and never destroyed before the process ends, because a detached thread may still be
// leaving open_connections::close when main returns.
examples::service_totals totals;
open_connections& connections = *new open_connections;

// Splits "HOST:PORT", "[HOST]:PORT" or ":PORT"; the host is numeric. False when it is none of them.
bool split_address(std::string_view address, std::string& host, std::string& port) {
    const std::size_t colon = address.rfind(':');
    if (colon == std::string_view::npos) {
        return false;
    }
    host = address.substr(0, colon);
    port = address.substr(colon + 1);
    const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
    if (bracketed) {
        host = host.substr(1, host.size() - 2);
    } else if (host.find(':') != std::string::npos) {
        return false;
    }
    return !port.empty() &&
           std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; }) &&
           port.size() <= 5 && std::stoi(port) <= 65535;
}

std::expected<socket_handle, std::error_code> listen_on(std::string_view address) {
    std::string host;
    std::string port;
    if (!split_address(address, host, port)) {
        return std::unexpected(std::make_error_code(std::errc::invalid_argument));
    }
    addrinfo hints{};
    hints.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (::getaddrinfo(host.empty() ? nullptr : host.c_str(), port.c_str(), &hints, &found) != 0) {
        return std::unexpected(std::make_error_code(std::errc::invalid_argument));
    }
    // Non-blocking, because a connection that poll announced may be gone when accept comes.
    socket_handle listener(
        ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int on = 1;
    const bool listening =
        listener.native() >= 0 &&
        ::setsockopt(listener.native(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        ::bind(listener.native(), found->ai_addr, found->ai_addrlen) == 0 &&
        ::listen(listener.native(), SOMAXCONN) == 0;
    const int error = errno;
    ::freeaddrinfo(found);
    if (!listening) {
        return std::unexpected(std::error_code(error, std::system_category()));
    }
    return listener;
}

// The address that the system has bound, with the port that it chose for port 0.
std::string local_address(int native) {
    sockaddr_storage bound{};
    socklen_t size = sizeof bound;
    char host[NI_MAXHOST] = "";
    char port[NI_MAXSERV] = "";
    ::getsockname(native, reinterpret_cast<sockaddr*>(&bound), &size);
    ::getnameinfo(reinterpret_cast<sockaddr*>(&bound), size, host, sizeof host, port, sizeof port,
                  NI_NUMERICHOST | NI_NUMERICSERV);
    const std::string name = bound.ss_family == AF_INET6 ? '[' + std::string(host) + ']' : host;
    return name + ':' + port;
}

// Accepts one connection and gives it a thread. Returns the error of either.
std::error_code accept_one(int listener) {
    const int native = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (native < 0) {
        // After EAGAIN: the connection that poll announced has gone.
        return {errno == EAGAIN ? ECONNABORTED : errno, std::system_category()};
    }
    const int on = 1;
    ::setsockopt(native, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    connections.add(native);
    try {
        std::thread([native] {
            blocking_stream stream(native);
            examples::serve_http(stream, totals,
                                 [](blocking_stream&, examples::http_session& session) {
                                     return examples::answer_not_found(session);
                                 });
            connections.close(native);
        }).detach();
    } catch (const std::system_error& error) {
        connections.close(native);
        return error.code();
    }
    return {};
}

// Accepts until a signal arrives on stop (true) or the listener breaks (false). Blocks.
bool accept_all(int listener, int stop) {
    examples::accept_errors errors(k_usage.program);
    for (;;) {
        pollfd waits[2] = {{.fd = listener, .events = POLLIN, .revents = 0},
                           {.fd = stop, .events = POLLIN, .revents = 0}};
        if (::poll(waits, 2, -1) < 0 && errno != EINTR) {
            std::fprintf(stderr, "%s: poll: %s\n", k_usage.program,
                         last_error().error().message().c_str());
            return false;
        }
        if (waits[1].revents != 0) {
            return true;
        }
        if (waits[0].revents == 0) {
            continue;
        }
        if (const std::error_code error = accept_one(listener); error) {
            switch (errors.judge(error)) {
                case examples::accept_advice::again:
                    break;
                case examples::accept_advice::pause:
                    std::this_thread::sleep_for(examples::k_accept_pause);
                    break;
                case examples::accept_advice::closed:
                case examples::accept_advice::broken:
                    return false;
            }
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    const auto args = examples::parse_server_args(argc, argv, k_usage);
    if (!args) {
        return args.error();
    }
    const socket_handle stop(examples::open_stop_signals());
    if (stop.native() < 0) {
        std::perror(k_usage.program);
        return 1;
    }
    const auto listener = listen_on(args->listen);
    if (!listener) {
        examples::print_cannot_listen(k_usage.program, args->listen, listener.error());
        return examples::k_status_usage;
    }
    examples::print_listening(local_address(listener->native()));
    const bool stopped = accept_all(listener->native(), stop.native());
    connections.end_all();
    totals.print(k_usage.program);
    return stopped ? examples::k_status_ok : 1;
}
