// SPDX-License-Identifier: MIT
// io::fd on pipes and socket pairs.
#include "test/support/fixture.h"

#include <atomic>
#include <chrono>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pirn/io.h>
#include <pirn/runtime.h>
#include <pirn/sleep.h>

#include "runtime/netpoll.h"

using namespace pirn;
using namespace pirn::test;
using namespace std::chrono_literals;

namespace {

std::span<const std::byte> bytes(std::string_view s) { return std::as_bytes(std::span(s)); }

struct ends {
    io::fd a, b;
};

ends make_pipe() {
    int p[2];
    if (::pipe2(p, O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
    return {std::move(*io::fd::adopt(p[0])), std::move(*io::fd::adopt(p[1]))};
}

ends make_socketpair() {
    int s[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s) != 0)
        throw std::runtime_error("socketpair");
    return {std::move(*io::fd::adopt(s[0])), std::move(*io::fd::adopt(s[1]))};
}

std::string read_all(io::fd& f) {
    std::string all;
    char buffer[1000];
    for (;;) {
        const auto n = f.read(std::as_writable_bytes(std::span(buffer)));
        if (!n || *n == 0) return all;
        all.append(buffer, *n);
    }
}

}  // namespace

TEST_CASE("N01 N02 read parks, wakes on data, and tells the end of the stream") {
    on_procs([](int procs) {
        std::string got;
        run([&] {
            auto [reader, writer] = make_pipe();
            std::atomic<bool> done{false};
            go([&] {
                got = read_all(reader);
                done = true;
            });
            for (int i = 0; i < 10; ++i) {
                for (int k = 0; k < 3; ++k) yield();
                if (!writer.write(bytes("0123456789"))) got = "error";
            }
            writer.close();
            wait_until([&] { return done.load(); });
        }, {.procs = procs});
        std::string expected;
        for (int i = 0; i < 10; ++i) expected += "0123456789";
        CHECK(got == expected);
    });
}

TEST_CASE("N03 write parks on a full pipe and completes all") {
    on_procs([](int procs) {
        std::size_t written = 0;
        std::string got;
        const std::string large(3'000'000, 'x');
        run([&] {
            auto [reader, writer] = make_socketpair();
            std::atomic<bool> done{false};
            go([&, w = std::move(writer)]() mutable {
                const std::string_view v = large;
                const std::span<const std::byte> parts[] = {
                    bytes(v.substr(0, 10)), {}, bytes(v.substr(10, 1'000'000)),
                    bytes(v.substr(1'000'010))};
                if (const auto n = w.write_v(parts)) written = *n;
                w.close();
                done = true;
            });
            got = read_all(reader);
            wait_until([&] { return done.load(); });
        }, {.procs = procs});
        CHECK(written == large.size());
        CHECK(got == large);
    });
}

TEST_CASE("N04 close wakes a parked reader and a parked writer; later calls fail") {
    on_procs([](int procs) {
        std::error_code reader_error, writer_error, later;
        run([&] {
            auto [f, other] = make_socketpair();
            std::atomic<int> parked{0}, woke{0};
            go([&] {
                char c;
                ++parked;
                const auto r = f.read(std::as_writable_bytes(std::span(&c, 1)));
                if (!r) reader_error = r.error();
                ++woke;
            });
            go([&] {
                ++parked;
                const std::string large(5'000'000, 'x');
                const auto r = f.write(bytes(large));
                if (!r) writer_error = r.error();
                ++woke;
            });
            wait_until([&] { return parked == 2 && rt::io_waiters() == 2; });
            f.close();
            wait_until([&] { return woke == 2; });
            char c;
            later = f.read(std::as_writable_bytes(std::span(&c, 1))).error();
        }, {.procs = procs});
        CHECK(reader_error == std::errc::operation_canceled);
        CHECK(writer_error == std::errc::operation_canceled);
        CHECK(later == std::errc::bad_file_descriptor);
    });
}

TEST_CASE("N05 deadlines: past, future, cleared, moved while parked") {
    on_procs([](int procs) {
        std::error_code past, future, moved;
        std::size_t after_clear = 0;
        clock::duration waited{}, waited_moved{};
        run([&] {
            auto [f, other] = make_socketpair();
            char c;
            const auto one = std::as_writable_bytes(std::span(&c, 1));
            f.set_read_deadline(clock::now() - 1s);
            past = f.read(one).error();
            auto t = clock::now();
            f.set_read_deadline(t + 5ms);
            future = f.read(one).error();
            waited = clock::now() - t;
            f.set_read_deadline({});
            if (!other.write(bytes("x"))) return;
            after_clear = f.read(one).value_or(0);
            // Far away, then near, while the reader is parked.
            t = clock::now();
            f.set_read_deadline(t + 1h);
            std::atomic<bool> done{false};
            go([&] {
                moved = f.read(one).error();
                waited_moved = clock::now() - t;
                done = true;
            });
            sleep_for(2ms);
            f.set_deadline(t + 10ms);
            wait_until([&] { return done.load(); });
        }, {.procs = procs});
        CHECK(past == std::errc::timed_out);
        CHECK(future == std::errc::timed_out);
        CHECK(waited >= 5ms);
        CHECK(after_clear == 1);
        CHECK(moved == std::errc::timed_out);
        CHECK(waited_moved >= 10ms);
    });
}

TEST_CASE("N06 one reader and one writer at once; two readers take turns") {
    on_procs([](int procs) {
        std::atomic<long> sum{0};
        std::atomic<int> done{0};
        run([&] {
            auto [a, b] = make_socketpair();
            constexpr int k_messages = 2000;
            // Two readers share what two writers send.
            for (int r = 0; r < 2; ++r) {
                go([&] {
                    unsigned char c;
                    for (;;) {
                        const auto n = b.read(std::as_writable_bytes(std::span(&c, 1)));
                        if (!n || *n == 0) break;
                        sum += c;
                    }
                    ++done;
                });
            }
            std::atomic<int> writers{0};
            for (int w = 0; w < 2; ++w) {
                go([&] {
                    const unsigned char one = 1;
                    for (int i = 0; i < k_messages; ++i)
                        (void)a.write(std::as_bytes(std::span(&one, 1)));
                    ++writers;
                });
            }
            wait_until([&] { return writers == 2; });
            a.close();
            wait_until([&] { return done == 2; });
        }, {.procs = procs});
        CHECK(sum == 4000);
    });
}

TEST_CASE("N08 a reused descriptor number gets no event of its former life") {
    on_procs([](int procs) {
        std::atomic<int> wrong{0};
        run([&] {
            for (int round = 0; round < 300; ++round) {
                auto [a, b] = make_socketpair();
                std::atomic<bool> done{false};
                go([&] {
                    char c[8];
                    const auto n = b.read(std::as_writable_bytes(std::span(c)));
                    if (!n || *n != 3) ++wrong;
                    done = true;
                });
                if (round % 2 == 0) yield();
                if (!a.write(bytes("abc"))) ++wrong;
                wait_until([&] { return done.load(); });
            }
        }, {.procs = procs});
        CHECK(wrong == 0);
    });
}

TEST_CASE("N09 what was sent before the hangup is read first") {
    on_procs([](int procs) {
        std::atomic<int> wrong{0};
        run([&] {
            for (int round = 0; round < 200; ++round) {
                auto [a, b] = make_socketpair();
                std::atomic<bool> done{false};
                go([&] {
                    char c[64];  // more than is sent: a short read, then the end
                    std::string got;
                    for (;;) {
                        const auto n = b.read(std::as_writable_bytes(std::span(c)));
                        if (!n || *n == 0) break;
                        got.append(c, *n);
                    }
                    if (got != "last words") ++wrong;
                    done = true;
                });
                if (round % 3 == 0) yield();
                (void)a.write(bytes("last "));
                if (round % 3 == 1) yield();
                (void)a.write(bytes("words"));
                if (round % 3 == 2) yield();
                a.close();
                wait_until([&] { return done.load(); });
            }
        }, {.procs = procs});
        CHECK(wrong == 0);
    });
}

TEST_CASE("N16 a broken pipe is an error, not a SIGPIPE") {
    on_procs([](int procs) {
        std::error_code pipe_error, socket_error;
        run([&] {
            auto [reader, writer] = make_pipe();
            reader.close();
            pipe_error = writer.write(bytes("x")).error();
            auto [a, b] = make_socketpair();
            b.close();
            socket_error = a.write(bytes("x")).error();
        }, {.procs = procs});
        CHECK(pipe_error == std::errc::broken_pipe);
        CHECK(socket_error == std::errc::broken_pipe);
    });
}

TEST_CASE("N12 a regular file is refused by adopt and stays the caller's") {
    char path[] = "/tmp/pirn-test-XXXXXX";
    const int file = ::mkstemp(path);
    REQUIRE(file >= 0);
    ::unlink(path);
    const auto f = io::fd::adopt(file);
    CHECK(!f);
    CHECK(f.error() == std::errc::operation_not_permitted);
    CHECK(::close(file) == 0);
    CHECK(io::fd::adopt(-1).error() == std::errc::bad_file_descriptor);
    io::fd none;
    char c;
    CHECK(none.read(std::as_writable_bytes(std::span(&c, 1))).error() ==
          std::errc::bad_file_descriptor);
    CHECK(none.native_handle() == -1);
}

TEST_CASE("a thread of the program's own blocks in io, and close wakes it") {
    std::error_code e;
    auto [f, other] = make_socketpair();
    std::thread t([&, &file = f] {
        char c;
        e = file.read(std::as_writable_bytes(std::span(&c, 1))).error();
    });
    std::this_thread::sleep_for(5ms);
    f.close();
    t.join();
    // The second where the thread came late to its call.
    CHECK((e == std::errc::operation_canceled || e == std::errc::bad_file_descriptor));
    auto [a, b] = make_socketpair();
    std::string got;
    std::thread reader([&, &file = b] { got = read_all(file); });
    CHECK(a.write(bytes("from a thread")));
    a.close();
    reader.join();
    CHECK(got == "from a thread");
}

TEST_CASE("retry_read tries a system call of the caller's until it does not block") {
    on_procs([](int procs) {
        ssize_t value = 0;
        run([&] {
            const int native = ::eventfd(0, EFD_CLOEXEC);
            auto event = *io::fd::adopt(native);
            go([native] {
                const std::uint64_t seven = 7;
                (void)!::write(native, &seven, sizeof seven);
            });
            std::uint64_t count = 0;
            const auto n = event.retry_read([&](int fd) -> ssize_t {
                const ssize_t r = ::read(fd, &count, sizeof count);
                return r < 0 ? -errno : r;
            });
            value = n && *n == 8 ? static_cast<ssize_t>(count) : -1;
        }, {.procs = procs});
        CHECK(value == 7);
    });
}

TEST_CASE("a descriptor outlives the run in which a goroutine was parked on it") {
    on_procs([](int procs) {
        auto [f, other] = make_socketpair();
        run([&] {
            std::atomic<bool> parked{false};
            go([&] {
                parked = true;
                char c;
                (void)f.read(std::as_writable_bytes(std::span(&c, 1)));
            });
            wait_until([&] { return parked.load(); });
            sleep_for(1ms);
        }, {.procs = procs});
        std::size_t n = 0;
        run([&] {
            (void)other.write(bytes("x"));
            char c;
            n = f.read(std::as_writable_bytes(std::span(&c, 1))).value_or(0);
        }, {.procs = procs});
        CHECK(n == 1);
    });
}
