// SPDX-License-Identifier: MIT
// Deadlines of connections and listeners: past, future, cleared and moved while somebody is parked.
#include "test/net/net_test.h"

using namespace net_test;

namespace {

// A time that a test which works never reaches.
pirn::clock::time_point far_away() {
    return pirn::clock::now() + 10 * k_patience;
}

}  // namespace

TEST_CASE("N05 a past deadline fails reads, writes and accepts at once", "[net][N05]") {
    on_each_procs([](verdict& v) {
        auto [a, b] = connect_pair(v);
        auto l = pirn::listen("127.0.0.1:0");
        if (!EXPECT(v, l.has_value())) return;
        EXPECT(v, b.write(bytes_of("there")) == 5u);
        std::byte space[8];
        a.set_deadline(pirn::clock::now() - 1s);
        l->set_deadline(pirn::clock::now() - 1s);
        // Also where it could be done without waiting, as in Go.
        EXPECT(v, fails_with(a.read(space), std::errc::timed_out));
        EXPECT(v, fails_with(a.write(space), std::errc::timed_out));
        EXPECT(v, fails_with(l->accept(), std::errc::timed_out));
        // Cleared: nothing was lost.
        a.set_deadline({});
        l->set_deadline({});
        EXPECT(v, read_some(a) == "there");
        EXPECT(v, a.write(bytes_of("back")) == 4u);
        EXPECT(v, read_some(b) == "back");
        auto c = pirn::dial(l->address());
        EXPECT(v, c && l->accept());
    });
}

TEST_CASE("N05 a deadline ends the wait of a parked caller, and not before", "[net][N05]") {
    on_each_procs([](verdict& v) {
        auto [a, b] = connect_pair(v);
        auto l = pirn::listen("127.0.0.1:0");
        if (!EXPECT(v, l.has_value())) return;
        const std::string much = pattern(16 << 20);
        std::byte space[8];
        const auto deadline = pirn::clock::now() + 30ms;
        a.set_deadline(deadline);
        l->set_deadline(deadline);
        group tasks;
        tasks.go([&] {
            EXPECT(v, fails_with(a.read(space), std::errc::timed_out));
            EXPECT(v, pirn::clock::now() >= deadline);
        });
        tasks.go([&] {
            EXPECT(v, fails_with(a.write(bytes_of(much)), std::errc::timed_out));
            EXPECT(v, pirn::clock::now() >= deadline);
        });
        tasks.go([&] {
            EXPECT(v, fails_with(l->accept(), std::errc::timed_out));
            EXPECT(v, pirn::clock::now() >= deadline);
        });
        tasks.join();
        // It stays past until it is set anew.
        EXPECT(v, fails_with(a.read(space), std::errc::timed_out));
        a.set_read_deadline(far_away());
        EXPECT(v, b.write(bytes_of("x")) == 1u);
        EXPECT(v, read_some(a) == "x");
    });
}

TEST_CASE("N05 a deadline of one direction leaves the other alone", "[net][N05]") {
    on_each_procs([](verdict& v) {
        auto [a, b] = connect_pair(v);
        std::byte space[8];
        a.set_read_deadline(pirn::clock::now() - 1ms);
        EXPECT(v, fails_with(a.read(space), std::errc::timed_out));
        EXPECT(v, a.write(bytes_of("out")) == 3u);
        EXPECT(v, read_some(b) == "out");
        a.set_read_deadline({});
        a.set_write_deadline(pirn::clock::now() - 1ms);
        EXPECT(v, fails_with(a.write(space), std::errc::timed_out));
        EXPECT(v, b.write(bytes_of("in")) == 2u);
        EXPECT(v, read_some(a) == "in");
        EXPECT(v, a.close_write() == std::errc::timed_out);
        a.set_write_deadline({});
        EXPECT(v, !a.close_write());
        EXPECT(v, read_some(b).empty());
    });
}

TEST_CASE("N05 a deadline set into the past wakes a parked caller", "[net][N05]") {
    on_each_procs([](verdict& v) {
        auto [a, b] = connect_pair(v);
        const std::string much = pattern(16 << 20);
        std::byte space[8];
        group tasks;
        tasks.go([&] { EXPECT(v, fails_with(a.read(space), std::errc::timed_out)); });
        tasks.go([&] { EXPECT(v, fails_with(a.write(bytes_of(much)), std::errc::timed_out)); });
        wait_parked(2);
        a.set_deadline(pirn::clock::now() - 1ns);
        tasks.join();
    });
}

TEST_CASE("N05 a deadline can be brought forward under a parked caller", "[net][N05]") {
    on_each_procs([](verdict& v) {
        auto [a, b] = connect_pair(v);
        std::byte space[8];
        a.set_read_deadline(far_away());
        group tasks;
        tasks.go([&] { EXPECT(v, fails_with(a.read(space), std::errc::timed_out)); });
        wait_parked(1);
        a.set_read_deadline(pirn::clock::now() + 5ms);
        tasks.join();
    });
}

TEST_CASE("N05 a deadline cleared or extended under a parked caller does not fire", "[net][N05]") {
    on_each_procs([](verdict& v) {
        for (const bool clear : {true, false}) {
            auto [a, b] = connect_pair(v);
            // Long enough that the reader is parked before it on any machine; where it was not,
            // nothing is shown, and the round is made again.
            bool shown = false;
            for (auto wait = 20ms; !shown && wait < k_patience; wait *= 2) {
                const auto first = pirn::clock::now() + wait;
                a.set_read_deadline(first);
                group tasks;
                std::string got;
                tasks.go([&] { got = read_some(a); });
                wait_until("the reader to park or fail",
                           [&] { return pirn::rt::io_waiters() == 1 || tasks.running() == 0; });
                a.set_read_deadline(clear ? pirn::clock::time_point{} : far_away());
                shown = pirn::clock::now() < first && tasks.running() != 0;
                pirn::sleep_until(first + 10ms);
                if (shown) EXPECT(v, tasks.running() == 1);
                EXPECT(v, b.write(bytes_of("late")) == 4u);
                tasks.join();
                if (shown)
                    EXPECT(v, got == "late");
                else if (got != "late")
                    EXPECT(v, read_some(a) == "late");
            }
            EXPECT(v, shown);
        }
    });
}

TEST_CASE("N05 deadlines that move all the time lose no byte and no wake-up", "[net][N05]") {
    on_each_procs([](verdict& v) {
        constexpr int k_messages = 2000;
        auto [a, b] = connect_pair(v);
        std::atomic<bool> ended{false};
        group tasks;
        tasks.go([&] {
            for (int i = 0; !ended.load(); ++i) {
                a.set_read_deadline(i % 3 == 0   ? pirn::clock::time_point{}
                                    : i % 3 == 1 ? pirn::clock::now() + 50us
                                                 : far_away());
                pirn::yield();
            }
        });
        tasks.go([&] {
            for (int i = 0; i < k_messages; ++i) {
                EXPECT(v, b.write(std::as_bytes(std::span(&i, 1))) == sizeof i);
                if (i % 16 == 0) pirn::sleep_for(20us);
            }
        });
        int expected = 0;
        while (expected < k_messages) {
            int got = -1;
            std::span<std::byte> rest = std::as_writable_bytes(std::span(&got, 1));
            while (!rest.empty()) {
                const auto n = a.read(rest);
                if (n && *n > 0) {
                    rest = rest.subspan(*n);
                    continue;
                }
                if (!EXPECT(v, fails_with(n, std::errc::timed_out))) break;
                pirn::yield();  // the one who moves the deadline may share our P
            }
            if (!EXPECT(v, rest.empty() && got == expected)) break;
            ++expected;
        }
        ended.store(true);
        tasks.join();
    });
}
