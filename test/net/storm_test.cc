// SPDX-License-Identifier: MIT
// Many connections: storms of them, descriptor numbers that are used again, idle ones.
#include <sys/resource.h>

#include <random>
#include <thread>

#include "test/net/net_test.h"

using namespace net_test;

namespace {

// Reads until the peer ends or resets; the bytes that came.
std::size_t drain(pirn::conn& c, verdict& v) {
    std::byte space[64];
    std::size_t total = 0;
    for (;;) {
        const auto n = c.read(space);
        if (!n) EXPECT(v, n.error() == std::errc::connection_reset);
        if (!n || *n == 0) return total;
        total += *n;
    }
}

double cpu_seconds() {
    rusage r{};
    ::getrusage(RUSAGE_SELF, &r);
    const auto seconds = [](timeval t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
    };
    return seconds(r.ru_utime) + seconds(r.ru_stime);
}

}  // namespace

TEST_CASE("N07 10,000 connections opened and dropped by a thread", "[net][N07]") {
    on_each_procs([](verdict& v) {
        constexpr int k_connections = 10'000;
        const auto limit = pirn::clock::now() + k_patience;
        auto l = pirn::listen("127.0.0.1:0");
        if (!EXPECT(v, l.has_value())) return;
        const std::uint16_t port = port_of(l->address());
        std::atomic<bool> ended{false};
        std::thread storm([&] {
            for (int i = 0; i < k_connections; ++i) {
                const int s = raw_connect(port);
                if (!EXPECT(v, s >= 0)) break;
                // Dropped in every way: at once, with a byte in flight, with a reset.
                if (i % 3 == 1) EXPECT(v, ::send(s, "x", 1, MSG_NOSIGNAL) == 1);
                if (i % 2 == 1) reset_at_close(s);
                ::close(s);
            }
            // The one that ends the acceptor's loop.
            const int last = raw_connect(port);
            EXPECT(v, ::send(last, "last", 4, MSG_NOSIGNAL) == 4);
            ::close(last);
            ended.store(true);
        });
        group tasks;
        std::atomic<bool> last_seen{false};
        int accepted = 0;
        while (!last_seen.load()) {
            auto c = l->accept();
            if (!c && last_seen.load()) break;
            if (!EXPECT(v, c.has_value())) break;
            ++accepted;
            tasks.go([&, c = std::move(*c)]() mutable {
                if (drain(c, v) == 4) {
                    last_seen.store(true);
                    l->close();
                }
            });
        }
        wait_until("the storm to end", [&] { return ended.load(); });
        storm.join();
        tasks.join();
        // A connection that was reset while it was queued is accepted all the same by Linux.
        EXPECT(v, accepted == k_connections + 1);
        EXPECT(v, pirn::clock::now() < limit);
    });
}

TEST_CASE("N07 connections dialed and dropped by goroutines, to several acceptors", "[net][N07]") {
    on_each_procs([](verdict& v) {
        constexpr int k_dialers = 20, k_each = 100;
        auto l = pirn::listen("127.0.0.1:0");
        if (!EXPECT(v, l.has_value())) return;
        std::atomic<int> dialers_left{k_dialers};
        std::atomic<long> served{0};
        group tasks;
        for (int i = 0; i < 4; ++i) {
            tasks.go([&] {
                for (;;) {
                    auto c = l->accept();
                    if (!c) {
                        EXPECT(v, c.error() == std::errc::operation_canceled ||
                                      c.error() == std::errc::bad_file_descriptor);
                        return;
                    }
                    tasks.go([&, c = std::move(*c)]() mutable {
                        std::byte space[16];
                        const auto n = c.read(space);
                        if (!EXPECT(v, n.has_value())) return;
                        EXPECT(v, c.write(std::span(space).first(*n)) == *n);
                        served.fetch_add(1);
                        EXPECT(v, drain(c, v) == 0u);
                    });
                }
            });
        }
        for (int i = 0; i < k_dialers; ++i) {
            tasks.go([&, i] {
                for (int k = 0; k < k_each; ++k) {
                    auto c = pirn::dial(l->address());
                    if (!EXPECT(v, c.has_value())) break;
                    const std::string text = std::to_string(i * k_each + k);
                    EXPECT(v, c->write(bytes_of(text)) == text.size());
                    EXPECT(v, read_exactly(*c, text.size()) == text);
                }
                if (dialers_left.fetch_sub(1) == 1) l->close();
            });
        }
        tasks.join();
        EXPECT(v, served.load() == k_dialers * k_each);
    });
}

TEST_CASE("N08 a descriptor number used again gets no stale wake-ups", "[net][N08]") {
    const unsigned seed = std::random_device{}();
    INFO("seed " << seed);
    on_each_procs([seed](verdict& v) {
        constexpr int k_rounds = 1500;
        std::mt19937 random(seed);
        auto l = pirn::listen("127.0.0.1:0");
        if (!EXPECT(v, l.has_value())) return;
        const auto connected = [&]() -> pair {
            auto a = pirn::dial(l->address());
            auto b = l->accept();
            if (!EXPECT(v, a && b)) return {};
            return {std::move(*a), std::move(*b)};
        };
        int reused = 0;
        for (int round = 0; round < k_rounds; ++round) {
            // The first life: a reader parked, with a deadline; bytes, an end or a reset on their
            // way to it when it is closed.
            auto [a, b] = connected();
            const int number = b.native_handle();
            group first;
            first.go([&] {
                std::byte space[16];
                while (b.read(space).value_or(0) > 0) {
                }
            });
            if (round % 2 == 0) b.set_read_deadline(pirn::clock::now() + 300us);
            for (unsigned i = random() % 4; i > 0; --i) pirn::yield();
            if (round % 3 == 0) EXPECT(v, a.write(bytes_of("stale")) == 5u);
            if (round % 3 == 1) EXPECT(v, !a.close_write());
            if (round % 3 == 2) reset_at_close(a.native_handle());
            group closers;
            closers.go([&] { b.close(); });
            if (round % 3 == 2) a.close();
            closers.join();
            first.join();
            // The second life: nothing of the first one's bytes, end, error or deadline shows.
            auto [c, d] = connected();
            if (c.native_handle() == number || d.native_handle() == number) ++reused;
            const std::string token = "token " + std::to_string(round);
            std::string at_c, at_d;
            group second;
            second.go([&] { at_c = read_exactly(c, token.size()); });
            second.go([&] { at_d = read_exactly(d, token.size()); });
            for (unsigned i = random() % 4; i > 0; --i) pirn::yield();
            if (round % 64 == 0) pirn::sleep_for(500us);
            EXPECT(v, c.write(bytes_of(token)) == token.size());
            EXPECT(v, d.write(bytes_of(token)) == token.size());
            second.join();
            if (!EXPECT(v, at_c == token && at_d == token)) break;
        }
        // Otherwise nothing was shown.
        EXPECT(v, reused > k_rounds / 2);
    });
}

TEST_CASE("N08 connections made and closed by many goroutines at a time", "[net][N08]") {
    on_each_procs([](verdict& v) {
        constexpr int k_workers = 8, k_rounds = 60;
        group tasks;
        for (int w = 0; w < k_workers; ++w) {
            tasks.go([&, w] {
                auto l = pirn::listen("127.0.0.1:0");
                if (!EXPECT(v, l.has_value())) return;
                for (int round = 0; round < k_rounds; ++round) {
                    auto a = pirn::dial(l->address());
                    auto b = l->accept();
                    if (!EXPECT(v, a && b)) return;
                    group inner;
                    std::string got;
                    inner.go([&] { got = read_exactly(*b, 9); });
                    const std::string token =
                        std::to_string(100 + w) + "/" + std::to_string(10'000 + round);
                    EXPECT(v, a->write(bytes_of(token)) == token.size());
                    inner.join();
                    if (!EXPECT(v, got == token)) return;
                    // Half of them are closed under a parked reader.
                    if (round % 2 == 0) {
                        inner.go([&] {
                            std::byte space[1];
                            const auto n = b->read(space);
                            EXPECT(v, !n && (n.error() == std::errc::operation_canceled ||
                                             n.error() == std::errc::bad_file_descriptor));
                        });
                        b->close();
                        inner.join();
                    }
                }
            });
        }
        tasks.join();
    });
}

TEST_CASE("N11 idle connections cost no CPU", "[net][N11]") {
    on_each_procs([](verdict& v) {
        constexpr int k_connections = 1000;
        auto l = pirn::listen("127.0.0.1:0");
        if (!EXPECT(v, l.has_value())) return;
        std::vector<pirn::conn> clients;
        std::vector<pirn::conn> servers;
        for (int i = 0; i < k_connections; ++i) {
            auto a = pirn::dial(l->address());
            auto b = l->accept();
            if (!EXPECT(v, a && b)) return;
            clients.push_back(std::move(*a));
            servers.push_back(std::move(*b));
        }
        group tasks;
        for (pirn::conn& c : servers) {
            tasks.go([&] {
                std::byte space[1];
                EXPECT(v, c.read(space) == 0u);
            });
        }
        wait_parked(k_connections);
        const double before = cpu_seconds();
        pirn::sleep_for(200ms);
        EXPECT(v, cpu_seconds() - before < 0.1);
        for (pirn::conn& c : clients) c.close();
        tasks.join();
    });
}
