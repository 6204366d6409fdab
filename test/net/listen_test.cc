// SPDX-License-Identifier: MIT
// Listening: what is refused, which addresses result, IPv6, socket options, the descriptor limit.
#include <sys/resource.h>

#include <csignal>
#include <filesystem>

#include "test/net/net_test.h"

using namespace net_test;

namespace {

bool has_ipv6() {
    const int s = ::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s < 0) return false;
    sockaddr_in6 at{};
    at.sin6_family = AF_INET6;
    at.sin6_addr = in6addr_loopback;
    const bool bound = ::bind(s, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0;
    ::close(s);
    return bound;
}

int option(int native, int level, int name) {
    int value = -1;
    socklen_t size = sizeof value;
    return ::getsockopt(native, level, name, &value, &size) == 0 ? value : -1;
}

// Every descriptor taken up to a lowered limit, until this goes away.
class all_descriptors_taken {
  public:
    all_descriptors_taken() {
        ::getrlimit(RLIMIT_NOFILE, &before_);
        // No more than a few hundred above what is open, so that it is quick.
        const int highest = ::dup(STDERR_FILENO);
        rlimit low = before_;
        low.rlim_cur = static_cast<rlim_t>(highest) + 64;
        ::setrlimit(RLIMIT_NOFILE, &low);
        for (int fd = highest; fd >= 0; fd = ::dup(STDERR_FILENO)) taken_.push_back(fd);
    }
    all_descriptors_taken(const all_descriptors_taken&) = delete;
    all_descriptors_taken& operator=(const all_descriptors_taken&) = delete;
    ~all_descriptors_taken() {
        while (!taken_.empty()) give_one();
        ::setrlimit(RLIMIT_NOFILE, &before_);
    }
    void give_one() {
        ::close(taken_.back());
        taken_.pop_back();
    }

  private:
    rlimit before_{};
    std::vector<int> taken_;
};

// A socket file's path in a directory of its own, which goes with it.
class socket_path {
  public:
    socket_path() {
        std::string name = (std::filesystem::temp_directory_path() / "pirn-net-XXXXXX").string();
        if (::mkdtemp(name.data()) != nullptr) directory_ = name;
    }
    socket_path(const socket_path&) = delete;
    socket_path& operator=(const socket_path&) = delete;
    ~socket_path() { std::filesystem::remove_all(directory_); }
    std::string file() const { return directory_ + "/socket"; }
    std::string address() const { return "unix:" + file(); }

  private:
    std::string directory_;
};

}  // namespace

TEST_CASE("listen refuses what cannot be", "[net][listen]") {
    on_each_procs([](verdict& v) {
        auto l = pirn::listen("127.0.0.1:0");
        if (!EXPECT(v, l.has_value())) return;
        EXPECT(v, fails_with(pirn::listen(l->address()), std::errc::address_in_use));
        // A wildcard that covers it, too.
        EXPECT(v, fails_with(pirn::listen("0.0.0.0:" + std::to_string(port_of(l->address()))),
                             std::errc::address_in_use));
        EXPECT(v, fails_with(pirn::listen("localhost:" + std::to_string(port_of(l->address()))),
                             std::errc::address_in_use));
        // TEST-NET-1 is on no interface.
        EXPECT(v, fails_with(pirn::listen("192.0.2.1:0"), std::errc::address_not_available));
        for (const char* bad : {"", "80", "127.0.0.1:x", "example.com:80", "[::1:80", "unix:"}) {
            EXPECT(v, fails_with(pirn::listen(bad), std::errc::invalid_argument));
            EXPECT(v, fails_with(pirn::dial(bad), std::errc::invalid_argument));
        }
        EXPECT(v, pirn::listen("nonsense").error().message() == "missing port in address");
    });
}

TEST_CASE("a listener can be closed and its port listened on again at once", "[net][listen]") {
    on_each_procs([](verdict& v) {
        auto first = pirn::listen("127.0.0.1:0");
        if (!EXPECT(v, first.has_value())) return;
        const std::string address = first->address();
        auto a = pirn::dial(address);
        auto b = first->accept();
        if (!EXPECT(v, a && b)) return;
        // The server's end closes first: its port waits out the old connection.
        b->close();
        EXPECT(v, read_some(*a).empty());
        a->close();
        first->close();
        auto second = pirn::listen(address);
        EXPECT(v, second && second->address() == address);
        auto c = pirn::dial(address);
        EXPECT(v, c && second->accept());
    });
}

TEST_CASE("addresses name both ends", "[net][listen]") {
    on_each_procs([](verdict& v) {
        auto l = pirn::listen("127.0.0.1:0");
        if (!EXPECT(v, l.has_value())) return;
        EXPECT(v, l->address().starts_with("127.0.0.1:") && port_of(l->address()) != 0);
        auto a = pirn::dial(l->address());
        auto b = l->accept();
        if (!EXPECT(v, a && b)) return;
        EXPECT(v, a->remote_address() == l->address() && b->local_address() == l->address());
        EXPECT(v, a->local_address() == b->remote_address());
        EXPECT(v, a->local_address().starts_with("127.0.0.1:"));
        pirn::listener moved = std::move(*l);
        EXPECT(v, !*l && l->address().empty() && moved.address() == a->remote_address());
    });
}

TEST_CASE("a listener on every address takes IPv4 and IPv6", "[net][listen]") {
    on_each_procs([](verdict& v) {
        auto l = pirn::listen(":0");
        if (!EXPECT(v, l.has_value())) return;
        const std::string port = ":" + std::to_string(port_of(l->address()));
        std::vector<std::string> hosts = {"127.0.0.1", "localhost", ""};
        if (has_ipv6()) {
            EXPECT(v, l->address() == "[::]" + port);
            hosts.push_back("[::1]");
        }
        for (const std::string& host : hosts) {
            auto a = pirn::dial(host + port);
            auto b = l->accept();
            if (!EXPECT(v, a && b)) return;
            // An IPv4 peer shows as one, whatever the listening socket's family.
            EXPECT(v, b->remote_address() == a->local_address());
            EXPECT(v, b->local_address() == a->remote_address());
            EXPECT(v, b->remote_address().starts_with(host == "[::1]" ? "[::1]:" : "127.0.0.1:"));
        }
    });
}

TEST_CASE("IPv6 loopback", "[net][listen]") {
    if (!has_ipv6()) {
        WARN("no IPv6 loopback here");
        return;
    }
    on_each_procs([](verdict& v) {
        auto l = pirn::listen("[::1]:0");
        if (!EXPECT(v, l.has_value())) return;
        EXPECT(v, l->address().starts_with("[::1]:"));
        // localhost goes on to IPv6 where nobody listens on IPv4.
        for (const std::string& to :
             {l->address(), "localhost:" + std::to_string(port_of(l->address()))}) {
            auto a = pirn::dial(to);
            auto b = l->accept();
            if (!EXPECT(v, a && b)) return;
            EXPECT(v, a->remote_address() == l->address());
            EXPECT(v, b->write(bytes_of("six")) == 3u && read_some(*a) == "six");
        }
    });
}

TEST_CASE("sockets have the promised options", "[net][listen]") {
    on_each_procs([](verdict& v) {
        auto l = pirn::listen("127.0.0.1:0");
        if (!EXPECT(v, l.has_value())) return;
        auto a = pirn::dial(l->address());
        auto b = l->accept();
        if (!EXPECT(v, a && b)) return;
        for (const int s : {a->native_handle(), b->native_handle()}) {
            EXPECT(v, option(s, IPPROTO_TCP, TCP_NODELAY) == 1);
            EXPECT(v, option(s, SOL_SOCKET, SO_KEEPALIVE) == 1);
            EXPECT(v, option(s, IPPROTO_TCP, TCP_KEEPIDLE) == 15);
            EXPECT(v, option(s, IPPROTO_TCP, TCP_KEEPINTVL) == 15);
        }
        for (const int s : {a->native_handle(), b->native_handle(), l->native_handle()}) {
            EXPECT(v, (::fcntl(s, F_GETFL) & O_NONBLOCK) != 0);
            EXPECT(v, (::fcntl(s, F_GETFD) & FD_CLOEXEC) != 0);
        }
    });
}

TEST_CASE("at the descriptor limit accept says so and goes on", "[net][limit]") {
    on_each_procs([](verdict& v) {
        auto l = pirn::listen("127.0.0.1:0");
        if (!EXPECT(v, l.has_value())) return;
        auto client = pirn::dial(l->address());
        if (!EXPECT(v, client.has_value())) return;
        EXPECT(v, client->write(bytes_of("patient")) == 7u);
        std::expected<pirn::conn, std::error_code> accepted;
        {
            all_descriptors_taken full;
            for (int i = 0; i < 3; ++i)
                EXPECT(v, fails_with(l->accept(), std::errc::too_many_files_open));
            EXPECT(v, fails_with(pirn::dial(l->address()), std::errc::too_many_files_open));
            EXPECT(v, fails_with(pirn::listen("127.0.0.1:0"), std::errc::too_many_files_open));
            full.give_one();
            accepted = l->accept();
        }
        // The connection waited and lost nothing.
        if (EXPECT(v, accepted.has_value())) EXPECT(v, read_some(*accepted) == "patient");
    });
}

TEST_CASE("at the descriptor limit a parked accept says so and goes on", "[net][limit]") {
    on_each_procs([](verdict& v) {
        auto l = pirn::listen("127.0.0.1:0");
        if (!EXPECT(v, l.has_value())) return;
        const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        std::atomic<int> refusals{0};
        group tasks;
        tasks.go([&] {
            auto c = l->accept();
            while (fails_with(c, std::errc::too_many_files_open)) {
                refusals.fetch_add(1);
                pirn::sleep_for(1ms);
                c = l->accept();
            }
            if (EXPECT(v, c.has_value())) EXPECT(v, read_some(*c) == "hello");
        });
        wait_parked(1);
        {
            all_descriptors_taken full;
            sockaddr_in to{};
            to.sin_family = AF_INET;
            to.sin_port = htons(port_of(l->address()));
            to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
            EXPECT(v, ::connect(client, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
            EXPECT(v, ::send(client, "hello", 5, 0) == 5);
            wait_until("accept to fail", [&] { return refusals.load() >= 3; });
        }
        tasks.join();
        ::close(client);
    });
}

TEST_CASE("unix sockets carry bytes both ways", "[net][unix]") {
    on_each_procs([](verdict& v) {
        const socket_path path;
        for (const std::string& address :
             {path.address(), "unix:@pirn-net-test-" + std::to_string(::getpid())}) {
            auto l = pirn::listen(address);
            if (!EXPECT(v, l.has_value())) return;
            EXPECT(v, l->address() == address);
            auto a = pirn::dial(address);
            auto b = l->accept();
            if (!EXPECT(v, a && b)) return;
            EXPECT(v, a->remote_address() == address && b->local_address() == address);
            EXPECT(v, a->local_address() == "unix:" && b->remote_address() == "unix:");
            const std::string sent = pattern(4 << 20);
            group tasks;
            tasks.go([&] { EXPECT(v, a->write(bytes_of(sent)) == sent.size()); });
            EXPECT(v, read_exactly(*b, sent.size()) == sent);
            tasks.join();
            EXPECT(v, b->write(bytes_of("back")) == 4u && read_some(*a) == "back");
            EXPECT(v, !a->close_write());
            EXPECT(v, read_some(*b).empty());
        }
    });
}

TEST_CASE("a unix listener removes its file once", "[net][unix]") {
    on_each_procs([](verdict& v) {
        const socket_path path;
        auto first = pirn::listen(path.address());
        if (!EXPECT(v, first.has_value())) return;
        EXPECT(v, fails_with(pirn::listen(path.address()), std::errc::address_in_use));
        EXPECT(v, std::filesystem::exists(path.file()));
        first->close();
        EXPECT(v, !std::filesystem::exists(path.file()));
        EXPECT(v, fails_with(pirn::dial(path.address()), std::errc::no_such_file_or_directory));
        {
            auto second = pirn::listen(path.address());
            EXPECT(v, second.has_value());
            // Neither the first one's second close nor its end takes the second one's file.
            first->close();
            first = pirn::listener{};
            EXPECT(v, std::filesystem::exists(path.file()));
            EXPECT(v, pirn::dial(path.address()).has_value());
        }
        EXPECT(v, !std::filesystem::exists(path.file()));
        // A directory that is not there.
        EXPECT(v, fails_with(pirn::listen("unix:" + path.file() + "/no/socket"),
                             std::errc::no_such_file_or_directory));
    });
}

TEST_CASE("a unix socket's peer that is gone is no SIGPIPE", "[net][unix][N16]") {
    struct sigaction fatal {};
    fatal.sa_handler = SIG_DFL;
    struct sigaction before {};
    REQUIRE(sigaction(SIGPIPE, &fatal, &before) == 0);
    on_each_procs([](verdict& v) {
        const socket_path path;
        auto [a, b] = connect_pair(v, path.address());
        b.close();
        EXPECT(v, fails_with(a.write(bytes_of("x")), std::errc::broken_pipe));
        EXPECT(v, read_some(a).empty());
    });
    sigaction(SIGPIPE, &before, nullptr);
}
