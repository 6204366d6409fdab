// SPDX-License-Identifier: MIT
// echo, client: the load for all echo servers, and the one that measures them.
//
// Each connection has one message under way: it is sent, read back, compared, and sent again with
// a new sequence number. After a warm-up the client counts round trips and their latencies for a
// fixed time, and takes from /proc what CPU time the server's process has used in that time.
// The line it prints says "client" for the contender; run.py puts the server's name there.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "config.h"
#include "harness/harness.h"

namespace {

struct connection {
    int fd = -1;
    std::uint64_t sent_ns = 0;
    std::size_t received_bytes = 0;  // Of the answer to the message under way.
    char message[bench::k_message_size_bytes] = {};
    char answer[bench::k_message_size_bytes] = {};
};

int dial(std::uint64_t port) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) bench::fail_errno("socket", errno);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
        bench::fail_errno("connect", errno);
    }
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

// CPU time that a process has used, in user and kernel mode, in seconds.
double cpu_seconds(std::uint64_t pid) {
    char path[64];
    std::snprintf(path, sizeof path, "/proc/%" PRIu64 "/stat", pid);
    std::FILE* file = std::fopen(path, "r");
    if (file == nullptr) bench::fail("the server is gone", path);
    char text[1024];
    const std::size_t size = std::fread(text, 1, sizeof text - 1, file);
    std::fclose(file);
    text[size] = '\0';
    // The name in parentheses may contain anything, so fields are counted from its end.
    const char* after_name = std::strrchr(text, ')');
    unsigned long user = 0;
    unsigned long kernel = 0;
    if (after_name == nullptr ||
        std::sscanf(after_name + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
                    &kernel) != 2) {
        bench::fail("cannot read", path);
    }
    return static_cast<double>(user + kernel) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

class load {
  public:
    load(std::uint64_t port, std::uint64_t count) : connections_(count) {
        epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);
        if (epoll_fd_ < 0) bench::fail_errno("epoll_create1", errno);
        for (std::size_t i = 0; i < count; i++) {
            connection& c = connections_[i];
            c.fd = dial(port);
            std::memcpy(c.message, &i, sizeof i);
            epoll_event event = {};
            event.events = EPOLLIN | EPOLLET;
            event.data.ptr = &c;
            if (epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, c.fd, &event) != 0) {
                bench::fail_errno("epoll_ctl", errno);
            }
        }
        for (connection& c : connections_) send_next(c);
    }

    // Drives the connections until the time is over and keeps the latencies of these round trips.
    void drive(std::uint64_t milliseconds) {
        latencies_ns_.clear();
        const std::uint64_t end_ns = bench::now_ns() + milliseconds * 1'000'000;
        epoll_event events[256];
        while (bench::now_ns() < end_ns) {
            const int n = epoll_wait(epoll_fd_, events, 256, bench::k_silence_ms);
            if (n == 0) bench::fail("the server does not answer");
            if (n < 0 && errno != EINTR) bench::fail_errno("epoll_wait", errno);
            for (int i = 0; i < n; i++) receive(*static_cast<connection*>(events[i].data.ptr));
        }
    }

    std::uint64_t round_trips() const { return latencies_ns_.size(); }

    double percentile_us(double share) {
        if (latencies_ns_.empty()) bench::fail("no round trip was made");
        const auto rank =
            static_cast<std::ptrdiff_t>(share * static_cast<double>(latencies_ns_.size() - 1));
        const auto at = latencies_ns_.begin() + rank;
        std::nth_element(latencies_ns_.begin(), at, latencies_ns_.end());
        return *at * 1e-3;
    }

    void reserve(std::size_t n) { latencies_ns_.reserve(n); }

  private:
    void send_next(connection& c) {
        sequence_++;
        std::memcpy(c.message + sizeof(std::uint64_t), &sequence_, sizeof sequence_);
        c.received_bytes = 0;
        c.sent_ns = bench::now_ns();
        const ssize_t n = send(c.fd, c.message, sizeof c.message, MSG_NOSIGNAL);
        if (n != static_cast<ssize_t>(sizeof c.message)) bench::fail_errno("send", errno);
    }

    void receive(connection& c) {
        ssize_t n;
        do {
            n = recv(c.fd, c.answer + c.received_bytes, sizeof c.answer - c.received_bytes, 0);
        } while (n < 0 && errno == EINTR);
        if (n < 0 && errno == EAGAIN) return;
        if (n < 0) bench::fail_errno("recv", errno);
        if (n == 0) bench::fail("the server closed a connection");
        c.received_bytes += static_cast<std::size_t>(n);
        if (c.received_bytes < sizeof c.answer) return;
        if (std::memcmp(c.message, c.answer, sizeof c.message) != 0) {
            bench::fail("the answer is not what was sent");
        }
        latencies_ns_.push_back(static_cast<std::uint32_t>(bench::now_ns() - c.sent_ns));
        send_next(c);
    }

    int epoll_fd_ = -1;
    std::uint64_t sequence_ = 0;
    std::vector<connection> connections_;
    std::vector<std::uint32_t> latencies_ns_;
};

}  // namespace

int main(int argc, char** argv) {
    std::uint64_t port = 0;
    std::uint64_t pid = 0;
    std::uint64_t milliseconds = bench::k_measured_ms;
    const auto args =
        bench::parse(argc, argv, {.count = bench::k_connections},
                     {{"--port", &port}, {"--pid", &pid}, {"--milliseconds", &milliseconds}});
    if (port == 0 || pid == 0) bench::fail("--port and --pid are needed", {}, 2);

    load clients(port, args.count);
    // More than any server has reached, so that no measured push_back has to grow the array.
    clients.reserve(milliseconds * 1000);
    clients.drive(bench::k_warm_up_ms);
    const double cpu_before = cpu_seconds(pid);
    const std::uint64_t start = bench::now_ns();
    clients.drive(milliseconds);
    const double seconds = bench::seconds_between(start, bench::now_ns());
    const double server_cpu = cpu_seconds(pid) - cpu_before;
    if (server_cpu <= 0) bench::fail("the server used no CPU time that could be measured");

    const double round_trips = static_cast<double>(clients.round_trips());
    bench::report("echo", "client", args, round_trips / server_cpu, "per CPU second")
        .figure("ops", clients.round_trips())
        .figure("count", args.count)
        .figure("per_second", round_trips / seconds)
        .figure("server_cpus", server_cpu / seconds)
        .figure("p50_us", clients.percentile_us(0.50))
        .figure("p99_us", clients.percentile_us(0.99))
        .print();
}
