// SPDX-License-Identifier: MIT
// Connections: bytes both ways, the end of the stream, turns, close, resets, refusals.
#include <csignal>
#include <cstring>
#include <thread>

#include "net/tcp.h"
#include "test/net/net_test.h"

using namespace net_test;

TEST_CASE("N01 a read parks and wakes on data, both ways", "[net][N01]") {
    on_each_procs([](verdict& v) {
        auto [a, b] = connect_pair(v);
        group tasks;
        std::string got;
        tasks.go([&] { got = read_some(b); });
        wait_parked(1);
        EXPECT(v, a.write(bytes_of("ping")) == 4u);
        tasks.join();
        EXPECT(v, got == "ping");
        tasks.go([&] { got = read_some(a); });
        wait_parked(1);
        EXPECT(v, b.write(bytes_of("pong")) == 4u);
        tasks.join();
        EXPECT(v, got == "pong");
    });
}

TEST_CASE("N01 an echo of many small messages loses and reorders nothing", "[net][N01]") {
    on_each_procs([](verdict& v) {
        constexpr int k_pairs = 8, k_messages = 500;
        auto l = pirn::listen("127.0.0.1:0");
        if (!EXPECT(v, l.has_value())) return;
        group tasks;
        for (int i = 0; i < k_pairs; ++i) {
            tasks.go([&] {
                auto c = l->accept();
                if (!EXPECT(v, c.has_value())) return;
                std::byte space[256];
                for (;;) {
                    const auto n = c->read(space);
                    if (!EXPECT(v, n.has_value()) || *n == 0) return;
                    EXPECT(v, c->write(std::span(space).first(*n)) == *n);
                }
            });
            tasks.go([&, i] {
                auto c = pirn::dial(l->address());
                if (!EXPECT(v, c.has_value())) return;
                for (int m = 0; m < k_messages; ++m) {
                    const std::string text = std::to_string(i) + "." + std::to_string(m) + ";";
                    EXPECT(v, c->write(bytes_of(text)) == text.size());
                    if (!EXPECT(v, read_exactly(*c, text.size()) == text)) return;
                }
            });
        }
        tasks.join();
    });
}

TEST_CASE("N02 the end of the stream is 0, again and again", "[net][N02]") {
    on_each_procs([](verdict& v) {
        auto [a, b] = connect_pair(v);
        EXPECT(v, a.write(bytes_of("last")) == 4u);
        EXPECT(v, !a.close_write());
        EXPECT(v, read_exactly(b, 5) == "last");
        std::byte space[8];
        for (int i = 0; i < 3; ++i) EXPECT(v, b.read(space) == 0u);
        // The other direction goes on, and writing into the ended one is an error.
        EXPECT(v, fails_with(a.write(bytes_of("x")), std::errc::broken_pipe));
        EXPECT(v, b.write(bytes_of("answer")) == 6u);
        EXPECT(v, read_exactly(a, 6) == "answer");
        b.close();
        EXPECT(v, a.read(space) == 0u);
    });
}

TEST_CASE("N02 the end of the stream wakes a parked reader", "[net][N02]") {
    on_each_procs([](verdict& v) {
        for (const bool whole : {false, true}) {
            auto [a, b] = connect_pair(v);
            group tasks;
            std::string got = "nothing";
            tasks.go([&] { got = read_some(b); });
            wait_parked(1);
            if (whole)
                a.close();
            else
                EXPECT(v, !a.close_write());
            tasks.join();
            EXPECT(v, got.empty());
        }
    });
}

TEST_CASE("N02 empty buffers do not block", "[net][N02]") {
    on_each_procs([](verdict& v) {
        auto [a, b] = connect_pair(v);
        EXPECT(v, a.read({}) == 0u);
        EXPECT(v, a.write({}) == 0u);
        EXPECT(v, a.write_v({}) == 0u);
        const std::span<const std::byte> empty[3];
        EXPECT(v, a.write_v(empty) == 0u);
    });
}

TEST_CASE("N03 a write parks on a full buffer and completes all", "[net][N03]") {
    on_each_procs([](verdict& v) {
        auto [a, b] = connect_pair(v);
        const std::string sent = pattern(16 << 20);
        group tasks;
        tasks.go([&] { EXPECT(v, a.write(bytes_of(sent)) == sent.size()); });
        wait_parked(1);
        EXPECT(v, read_exactly(b, sent.size()) == sent);
        tasks.join();
        a.close();
        EXPECT(v, read_some(b).empty());
    });
}

TEST_CASE("N03 write_v writes every buffer in order", "[net][N03]") {
    on_each_procs([](verdict& v) {
        auto [a, b] = connect_pair(v);
        // More buffers than one system call takes, empty ones among them, some larger than the
        // socket's buffer.
        const std::string all = pattern(12 << 20);
        std::vector<std::span<const std::byte>> buffers;
        std::size_t at = 0;
        for (std::size_t i = 0; at < all.size(); ++i) {
            const std::size_t wanted = i % 3 == 0 ? 0 : i == 1500 ? 8 << 20 : 1 + i % 1999;
            const std::size_t size = std::min(wanted, all.size() - at);
            buffers.push_back(bytes_of(all).subspan(at, size));
            at += size;
        }
        EXPECT(v, buffers.size() > 3 * 1024);
        group tasks;
        tasks.go([&] { EXPECT(v, a.write_v(buffers) == all.size()); });
        EXPECT(v, read_exactly(b, all.size()) == all);
        tasks.join();
    });
}

TEST_CASE("N04 close wakes a parked reader, writer and acceptor", "[net][N04]") {
    on_each_procs([](verdict& v) {
        auto [a, b] = connect_pair(v);
        auto l = pirn::listen("127.0.0.1:0");
        if (!EXPECT(v, l.has_value())) return;
        const std::string much = pattern(16 << 20);
        group tasks;
        std::byte space[8];
        tasks.go([&] { EXPECT(v, fails_with(a.read(space), std::errc::operation_canceled)); });
        tasks.go(
            [&] { EXPECT(v, fails_with(a.write(bytes_of(much)), std::errc::operation_canceled)); });
        tasks.go([&] { EXPECT(v, fails_with(l->accept(), std::errc::operation_canceled)); });
        wait_parked(3);
        a.close();
        l->close();
        tasks.join();
        EXPECT(v, fails_with(a.read(space), std::errc::bad_file_descriptor));
        EXPECT(v, fails_with(a.write(space), std::errc::bad_file_descriptor));
        EXPECT(v, a.close_write() == std::errc::bad_file_descriptor);
        EXPECT(v, fails_with(l->accept(), std::errc::bad_file_descriptor));
        EXPECT(v, a.native_handle() == -1);
        EXPECT(v, l->native_handle() == -1);
        EXPECT(v, a.local_address().empty());
        EXPECT(v, port_of(l->address()) != 0);
        a.close();
        l->close();
    });
}

TEST_CASE("N04 close wakes those who wait for their turn, too", "[net][N04]") {
    on_each_procs([](verdict& v) {
        auto [a, b] = connect_pair(v);
        auto l = pirn::listen("127.0.0.1:0");
        if (!EXPECT(v, l.has_value())) return;
        group tasks;
        std::atomic<int> begun{0};
        for (int i = 0; i < 4; ++i) {
            tasks.go([&] {
                std::byte space[8];
                begun.fetch_add(1);
                const auto got = a.read(space);
                EXPECT(v, !got && (got.error() == std::errc::operation_canceled ||
                                   got.error() == std::errc::bad_file_descriptor));
            });
            tasks.go([&] {
                begun.fetch_add(1);
                const auto got = l->accept();
                EXPECT(v, !got && (got.error() == std::errc::operation_canceled ||
                                   got.error() == std::errc::bad_file_descriptor));
            });
        }
        wait_until("all to begin",
                   [&] { return begun.load() == 8 && pirn::rt::io_waiters() >= 2; });
        a.close();
        l->close();
        tasks.join();
    });
}

TEST_CASE("N04 close races with reads, writes and accepts at every moment", "[net][N04]") {
    on_each_procs([](verdict& v) {
        const std::string much = pattern(4 << 20);
        const auto was_closed = [](std::error_code e) {
            return e == std::errc::operation_canceled || e == std::errc::bad_file_descriptor;
        };
        for (int round = 0; round < 200; ++round) {
            auto [a, b] = connect_pair(v);
            auto l = pirn::listen("127.0.0.1:0");
            if (!EXPECT(v, l.has_value())) return;
            group tasks;
            tasks.go([&] {
                std::byte space[8];
                const auto got = a.read(space);
                EXPECT(v, !got && was_closed(got.error()));
            });
            tasks.go([&] {
                const auto got = a.write(bytes_of(much));
                EXPECT(v, !got && was_closed(got.error()));
            });
            tasks.go([&] {
                const auto got = l->accept();
                EXPECT(v, !got && was_closed(got.error()));
            });
            for (int i = 0; i < 2; ++i) {
                tasks.go([&] {
                    a.close();
                    l->close();
                });
            }
            for (int i = round % 8; i > 0; --i) pirn::yield();
            a.close();
            tasks.join();
        }
    });
}

TEST_CASE("N06 one goroutine reads while another writes the same connection", "[net][N06]") {
    on_each_procs([](verdict& v) {
        auto [a, b] = connect_pair(v);
        const std::string there = pattern(8 << 20);
        const std::string back(there.rbegin(), there.rend());
        group tasks;
        tasks.go([&] { EXPECT(v, a.write(bytes_of(there)) == there.size()); });
        tasks.go([&] { EXPECT(v, read_exactly(a, back.size()) == back); });
        tasks.go([&] { EXPECT(v, b.write(bytes_of(back)) == back.size()); });
        tasks.go([&] { EXPECT(v, read_exactly(b, there.size()) == there); });
        tasks.join();
    });
}

TEST_CASE("N06 two readers take turns and get every byte once", "[net][N06]") {
    on_each_procs([](verdict& v) {
        constexpr std::size_t k_records = 20'000, k_record_bytes = 4;
        auto [a, b] = connect_pair(v);
        // Reads of whole records: as the stream holds nothing else, each read gets whole ones.
        std::vector<std::atomic<int>> seen(k_records);
        group tasks;
        for (int reader = 0; reader < 2; ++reader) {
            tasks.go([&] {
                std::uint32_t record = 0;
                for (;;) {
                    const auto n = b.read(std::as_writable_bytes(std::span(&record, 1)));
                    if (!EXPECT(v, n.has_value()) || *n == 0) return;
                    if (!EXPECT(v, *n == k_record_bytes && record < k_records)) return;
                    seen[record].fetch_add(1);
                }
            });
        }
        for (std::uint32_t record = 0; record < k_records; ++record)
            EXPECT(v, a.write(std::as_bytes(std::span(&record, 1))) == k_record_bytes);
        a.close();
        tasks.join();
        bool all_once = true;
        for (const auto& count : seen) all_once = all_once && count.load() == 1;
        EXPECT(v, all_once);
    });
}

TEST_CASE("N06 two writers take turns, each write as a whole", "[net][N06]") {
    on_each_procs([](verdict& v) {
        constexpr int k_writers = 3, k_rounds = 4;
        constexpr std::size_t k_block = 3 << 20;
        auto [a, b] = connect_pair(v);
        group tasks;
        for (int w = 0; w < k_writers; ++w) {
            tasks.go([&, w] {
                const std::string block(k_block, static_cast<char>('a' + w));
                for (int i = 0; i < k_rounds; ++i)
                    EXPECT(v, a.write(bytes_of(block)) == block.size());
            });
        }
        int blocks[k_writers] = {};
        for (int i = 0; i < k_writers * k_rounds; ++i) {
            const std::string block = read_exactly(b, k_block);
            if (!EXPECT(v, block.size() == k_block && block.front() >= 'a' &&
                               block.front() < 'a' + k_writers &&
                               block.find_first_not_of(block.front()) == block.npos))
                break;
            ++blocks[block.front() - 'a'];
        }
        for (const int count : blocks) EXPECT(v, count == k_rounds);
        b.close();
        tasks.join();
    });
}

TEST_CASE("N06 close_write comes after the write that is under way", "[net][N06]") {
    on_each_procs([](verdict& v) {
        auto [a, b] = connect_pair(v);
        const std::string sent = pattern(16 << 20);
        group tasks;
        tasks.go([&] { EXPECT(v, a.write(bytes_of(sent)) == sent.size()); });
        wait_parked(1);
        tasks.go([&] { EXPECT(v, !a.close_write()); });
        EXPECT(v, read_exactly(b, sent.size() + 1) == sent);
        tasks.join();
    });
}

TEST_CASE("N09 what is pending is read before a hang-up shows", "[net][N09]") {
    on_each_procs([](verdict& v) {
        const std::string sent = pattern(60'000);
        // Both directions ended: the poller sees EPOLLHUP while the bytes are still there.
        auto [a, b] = connect_pair(v);
        EXPECT(v, a.write(bytes_of(sent)) == sent.size());
        a.close();
        EXPECT(v, !b.close_write());
        EXPECT(v, read_exactly(b, sent.size() + 1) == sent);
        std::byte space[8];
        EXPECT(v, b.read(space) == 0u);

        // The same for a reader that parks between, in small pieces.
        auto [c, d] = connect_pair(v);
        EXPECT(v, !d.close_write());
        group tasks;
        std::string got;
        tasks.go([&] {
            for (std::string piece = read_some(d, 7); !piece.empty(); piece = read_some(d, 7))
                got += piece;
        });
        wait_parked(1);
        EXPECT(v, c.write(bytes_of(sent)) == sent.size());
        c.close();
        tasks.join();
        EXPECT(v, got == sent);
    });
}

TEST_CASE("N10 nobody listening is connection_refused", "[net][N10]") {
    on_each_procs([](verdict& v) {
        const closed_port nobody;
        EXPECT(v, fails_with(pirn::dial(nobody.address()), std::errc::connection_refused));
        const std::string by_name = "localhost:" + std::to_string(nobody.port());
        EXPECT(v, fails_with(pirn::dial(by_name), std::errc::connection_refused));
    });
}

TEST_CASE("N10 a dial that has to wait parks and is told how it ends", "[net][N10]") {
    on_each_procs([](verdict& v) {
        // Where the queue of connections is full, the kernel drops what asks for another; the asker
        // asks again after a second. Until then one listener makes room and the other closes.
        constexpr int k_queue = 2;  // a backlog of 1 holds two
        auto roomy = pirn::listen("127.0.0.1:0", {.backlog = 1});
        auto closing = pirn::listen("127.0.0.1:0", {.backlog = 1});
        if (!EXPECT(v, roomy && closing)) return;
        std::vector<pirn::conn> queued;
        for (int i = 0; i < k_queue; ++i) {
            for (const pirn::listener* l : {&*roomy, &*closing}) {
                auto c = pirn::dial(l->address());
                if (!EXPECT(v, c.has_value())) return;
                queued.push_back(std::move(*c));
            }
        }
        group tasks;
        tasks.go([&] {
            auto c = pirn::dial(roomy->address());
            if (EXPECT(v, c.has_value())) EXPECT(v, c->write(bytes_of("patient")) == 7u);
        });
        tasks.go([&] {
            EXPECT(v, fails_with(pirn::dial(closing->address()), std::errc::connection_refused));
        });
        wait_parked(2);
        closing->close();
        for (int i = 0; i < k_queue; ++i) EXPECT(v, roomy->accept().has_value());
        auto last = roomy->accept();
        if (EXPECT(v, last.has_value())) EXPECT(v, read_some(*last) == "patient");
        tasks.join();
    });
}

TEST_CASE("N10 a socket that connected to itself is told from others", "[net][N10]") {
    const closed_port port;
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port.port());
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_FALSE(pirn::net::is_self_connected(port.native()));
    REQUIRE(::connect(port.native(), reinterpret_cast<sockaddr*>(&at), sizeof at) == 0);
    CHECK(pirn::net::is_self_connected(port.native()));

    on_each_procs([](verdict& v) {
        auto [a, b] = connect_pair(v);
        EXPECT(v, !pirn::net::is_self_connected(a.native_handle()));
        EXPECT(v, !pirn::net::is_self_connected(b.native_handle()));
    });
}

TEST_CASE("N10 a peer that resets is connection_reset", "[net][N10]") {
    on_each_procs([](verdict& v) {
        std::byte space[8];
        {
            auto [a, b] = connect_pair(v);
            reset_at_close(a.native_handle());
            a.close();
            EXPECT(v, fails_with(b.read(space), std::errc::connection_reset));
            EXPECT(v, b.read(space) == 0u);  // the kernel tells it once
        }
        {
            auto [a, b] = connect_pair(v);
            const std::string much = pattern(16 << 20);
            reset_at_close(a.native_handle());
            group tasks;
            std::error_code errors[2];
            tasks.go([&] {
                const auto got = b.read(space);
                errors[0] = got ? std::error_code{} : got.error();
            });
            tasks.go([&] {
                const auto done = b.write(bytes_of(much));
                EXPECT(v, !done);
                errors[1] = done ? std::error_code{} : done.error();
            });
            wait_parked(2);
            a.close();
            tasks.join();
            // One of the two is told of the reset, the other finds the connection gone.
            EXPECT(v, (errors[0] == std::errc::connection_reset) !=
                          (errors[1] == std::errc::connection_reset));
            EXPECT(v,
                   errors[1] == std::errc::connection_reset || errors[1] == std::errc::broken_pipe);
        }
    });
}

TEST_CASE("N10 a client that is gone when it is accepted does no harm", "[net][N10]") {
    on_each_procs([](verdict& v) {
        auto l = pirn::listen("127.0.0.1:0");
        if (!EXPECT(v, l.has_value())) return;
        {
            auto gone = pirn::dial(l->address());
            if (!EXPECT(v, gone.has_value())) return;
            reset_at_close(gone->native_handle());
        }
        auto alive = pirn::dial(l->address());
        if (!EXPECT(v, alive.has_value())) return;
        EXPECT(v, alive->write(bytes_of("alive")) == 5u);
        auto first = l->accept();
        if (!EXPECT(v, first.has_value())) return;
        std::byte space[8];
        EXPECT(v, fails_with(first->read(space), std::errc::connection_reset));
        auto second = l->accept();
        if (EXPECT(v, second.has_value())) EXPECT(v, read_some(*second) == "alive");
    });
}

TEST_CASE("N16 writing to a peer that is gone is broken_pipe, and no SIGPIPE", "[net][N16]") {
    // The default is to die of it.
    struct sigaction fatal {};
    fatal.sa_handler = SIG_DFL;
    struct sigaction before {};
    REQUIRE(sigaction(SIGPIPE, &fatal, &before) == 0);
    on_each_procs([](verdict& v) {
        for (const bool gather : {false, true}) {
            auto [a, b] = connect_pair(v);
            b.close();
            const auto text = bytes_of("x");
            const std::span<const std::byte> two[] = {text, text};
            std::error_code error;
            wait_until("the write to fail", [&] {
                const auto done = gather ? a.write_v(two) : a.write(text);
                if (!done) error = done.error();
                return !done;
            });
            EXPECT(v, error == std::errc::broken_pipe || error == std::errc::connection_reset);
            EXPECT(v, fails_with(gather ? a.write_v(two) : a.write(text), std::errc::broken_pipe));
        }
    });
    sigaction(SIGPIPE, &before, nullptr);
}

TEST_CASE("moved-from and default handles fail cleanly", "[net]") {
    on_each_procs([](verdict& v) {
        pirn::conn none;
        std::byte space[8];
        EXPECT(v, !none);
        EXPECT(v, fails_with(none.read(space), std::errc::bad_file_descriptor));
        EXPECT(v, fails_with(none.write(space), std::errc::bad_file_descriptor));
        EXPECT(v, none.close_write() == std::errc::bad_file_descriptor);
        EXPECT(v, none.local_address().empty() && none.remote_address().empty());
        EXPECT(v, none.native_handle() == -1);
        none.set_deadline(pirn::clock::now());
        none.close();

        pirn::listener nobody;
        EXPECT(v, !nobody);
        EXPECT(v, fails_with(nobody.accept(), std::errc::bad_file_descriptor));
        EXPECT(v, nobody.address().empty() && nobody.native_handle() == -1);
        nobody.set_deadline(pirn::clock::now());
        nobody.close();

        auto [a, b] = connect_pair(v);
        pirn::conn moved = std::move(a);
        EXPECT(v, !a && moved);
        EXPECT(v, moved.write(bytes_of("moved")) == 5u);
        EXPECT(v, read_exactly(b, 5) == "moved");
        // Assigning closes what was there.
        moved = pirn::conn{};
        EXPECT(v, b.read(space) == 0u);
    });
}

TEST_CASE("an answer survives unread bytes by close_write and reading to the end", "[net]") {
    on_each_procs([](verdict& v) {
        auto [a, b] = connect_pair(v);
        const std::string request = pattern(300'000), answer = pattern(100'000);
        group tasks;
        tasks.go([&] {
            EXPECT(v, a.write(bytes_of(request)) == request.size());
            EXPECT(v, read_exactly(a, answer.size() + 1) == answer);
            a.close();
        });
        EXPECT(v, read_exactly(b, 1000).size() == 1000);
        EXPECT(v, b.write(bytes_of(answer)) == answer.size());
        EXPECT(v, !b.close_write());
        EXPECT(v, read_exactly(b, request.size()).size() == request.size() - 1000);
        b.close();
        tasks.join();
    });
}

TEST_CASE("threads that the runtime does not own may use connections", "[net]") {
    on_each_procs([](verdict& v) {
        auto l = pirn::listen("127.0.0.1:0");
        if (!EXPECT(v, l.has_value())) return;
        std::atomic<bool> ended{false};
        std::thread client([&] {
            auto c = pirn::dial(l->address());
            if (EXPECT(v, c.has_value())) {
                EXPECT(v, c->write(bytes_of("from a thread")) == 13u);
                EXPECT(v, read_exactly(*c, 13) == "to the thread");
                std::byte space[8];
                c->set_read_deadline(pirn::clock::now() + 5ms);
                EXPECT(v, fails_with(c->read(space), std::errc::timed_out));
            }
            ended.store(true);
        });
        auto c = l->accept();
        if (EXPECT(v, c.has_value())) {
            EXPECT(v, read_exactly(*c, 13) == "from a thread");
            EXPECT(v, c->write(bytes_of("to the thread")) == 13u);
        }
        wait_until("the thread to end", [&] { return ended.load(); });
        client.join();
    });
}
