// SPDX-License-Identifier: MIT
// Closing: C08-C13, C17, C24, C25, C31.
#include <array>
#include <optional>
#include <thread>
#include <vector>

#include "test/chan/verdict.h"

using namespace pirn::test;
using pirn::chan;
using pirn::make_chan;
using pirn::recv_status;

TEST_CASE("C08 after close the buffer is drained, then the end is reported for ever") {
    in_run([](verdict& v) {
        const auto c = make_chan<int>(10);
        for (int i = 0; i < 10; ++i) c.send(i);
        c.close();
        for (int i = 0; i < 5; ++i) EXPECT(c.recv() == i);
        int out = -1;
        for (int i = 5; i < 10; ++i) EXPECT(c.try_recv(out) == recv_status::ok && out == i);
        for (int i = 0; i < 5; ++i) {
            EXPECT(c.recv() == std::nullopt);
            EXPECT(c.try_recv(out) == recv_status::closed);
        }
        EXPECT(out == 9);
    });
}

TEST_CASE("C09 close wakes every blocked receiver with the end") {
    in_run([](verdict& v) {
        for (const std::size_t capacity : {0u, 2u}) {
            // More than close takes off its queue at once.
            constexpr int k_goroutines = 150, k_threads = 3;
            const auto c = make_chan<int>(capacity);
            std::atomic<int> ended{0};
            const auto receive = [&] {
                if (!c.recv()) ++ended;
            };
            crowd all;
            for (int i = 0; i < k_goroutines; ++i) all.go(receive);
            std::vector<std::thread> threads;
            for (int i = 0; i < k_threads; ++i) threads.emplace_back(receive);
            UNTIL(receivers_parked(c) == k_goroutines + k_threads);
            c.close();
            all.join();
            for (auto& t : threads) t.join();
            EXPECT(ended == k_goroutines + k_threads);
            EXPECT(receivers_parked(c) == 0);
        }
    });
}

TEST_CASE("C10 close makes every blocked sender panic") {
    in_run([](verdict& v) {
        for (const std::size_t capacity : {0u, 2u}) {
            constexpr int k_senders = 100;
            const auto c = make_chan<int>(capacity);
            for (std::size_t i = 0; i < capacity; ++i) c.send(-1);
            std::atomic<int> panicked{0};
            crowd all;
            for (int i = 0; i < k_senders; ++i)
                all.go([&] {
                    if (panic_of([&] { c.send(1); }) == "send on closed channel") ++panicked;
                });
            UNTIL(senders_parked(c) == k_senders);
            c.close();
            all.join();
            EXPECT(panicked == k_senders);
            for (std::size_t i = 0; i < capacity; ++i) EXPECT(c.recv() == -1);
            EXPECT(c.recv() == std::nullopt);
        }
    });
}

TEST_CASE("C11 send on a closed channel panics, with free buffer space too") {
    in_run([](verdict& v) {
        for (const std::size_t capacity : {0u, 5u}) {
            const auto c = make_chan<int>(capacity);
            c.close();
            EXPECT(panic_of([&] { c.send(1); }) == "send on closed channel");
            EXPECT(panic_of([&] { (void)c.try_send(1); }) == "send on closed channel");
            const int lvalue = 1;
            EXPECT(panic_of([&] { (void)c.try_send(lvalue); }) == "send on closed channel");
            EXPECT(c.len() == 0);
        }
        const auto full = make_chan<int>(1);
        full.send(1);
        full.close();
        EXPECT(panic_of([&] { (void)full.try_send(2); }) == "send on closed channel");
        const auto nothing = make_chan<void>(1);
        nothing.close();
        EXPECT(panic_of([&] { nothing.send(); }) == "send on closed channel");
        EXPECT(panic_of([&] { (void)nothing.try_send(); }) == "send on closed channel");
    });
}

TEST_CASE("C12 close of a closed channel panics") {
    in_run([](verdict& v) {
        const auto c = make_chan<int>();
        EXPECT(panic_of([&] { c.close(); }) == "none");
        EXPECT(panic_of([&] { c.close(); }) == "close of closed channel");
        EXPECT(panic_of([&] { pirn::send_chan<int>(c).close(); }) == "close of closed channel");
        EXPECT(c.recv() == std::nullopt);
    });
}

TEST_CASE("C13 close of nil panics") {
    in_run([](verdict& v) {
        EXPECT(panic_of([] { chan<int>().close(); }) == "close of nil channel");
        EXPECT(panic_of([] { chan<void>().close(); }) == "close of nil channel");
        EXPECT(panic_of([] { pirn::send_chan<int>().close(); }) == "close of nil channel");
    });
}

TEST_CASE("C17 non-blocking receive: empty while open, closed after that") {
    in_run([](verdict& v) {
        for (const std::size_t capacity : {0u, 3u}) {
            const auto c = make_chan<int>(capacity);
            int out = 42;
            std::optional<int> optional_out = 43;
            EXPECT(c.try_recv(out) == recv_status::empty);
            EXPECT(c.try_recv(optional_out) == recv_status::empty);
            c.close();
            EXPECT(c.try_recv(out) == recv_status::closed);
            EXPECT(c.try_recv(optional_out) == recv_status::closed);
            EXPECT(out == 42 && optional_out == 43);
        }
        const auto nothing = make_chan<void>(1);
        EXPECT(nothing.try_recv() == recv_status::empty);
        EXPECT(nothing.try_send() && !nothing.try_send());
        EXPECT(nothing.try_recv() == recv_status::ok);
        nothing.close();
        EXPECT(nothing.try_recv() == recv_status::closed);
    });
}

TEST_CASE("C24 a range-for ends after close and drain") {
    in_run([](verdict& v) {
        for (const std::size_t capacity : {0u, 1u, 100u}) {
            auto c = make_chan<int>(capacity);
            pirn::go([c] {
                for (int i = 1; i <= 100; ++i) c.send(i);
                c.close();
            });
            int sum = 0, n = 0;
            for (int& value : c) {
                // The loop has a reference of its own.
                if (n++ == 0) c = nullptr;
                sum += value;
                value = 0;
            }
            EXPECT(n == 100 && sum == 5050);
        }
        const auto closed = make_chan<int>();
        closed.close();
        for (const int value : pirn::recv_chan<int>(closed)) EXPECT(value == -1 && false);
        const auto empty = make_chan<int>(3);
        for (int i = 0; i < 3; ++i) empty.send(i);
        for (const int value : empty)
            if (value == 1) break;
        EXPECT(empty.len() == 1);
    });
}

TEST_CASE("C25 a zero that was sent is not the end") {
    in_run([](verdict& v) {
        const auto c = make_chan<int>(1);
        c.send(0);
        c.close();
        const auto value = c.recv();
        EXPECT(value.has_value() && *value == 0);
        EXPECT(!c.recv().has_value());

        // Also where the value is an empty optional itself.
        const auto optionals = make_chan<std::optional<int>>(2);
        optionals.send(std::nullopt);
        optionals.send(std::optional<int>(3));
        std::optional<int> out = 7;
        EXPECT(optionals.try_recv(out) == recv_status::ok && !out.has_value());
        std::optional<std::optional<int>> outer;
        EXPECT(optionals.try_recv(outer) == recv_status::ok && outer.has_value() && **outer == 3);
    });
}

TEST_CASE("C31 a close and a send at once: the value is delivered or the send panics, never both") {
    const std::uint64_t random = seed("C31");
    in_run([random](verdict& v) {
        for (const std::size_t capacity : {0u, 1u}) {
            chan<int> c;
            int delivered = 0, wrong_text = 0;
            duel(
                5000, random,
                [&] {
                    c = make_chan<int>(capacity);
                    delivered = wrong_text = 0;
                },
                [&] { c.close(); },
                [&] {
                    const std::string text = panic_of([&] { c.send(1); });
                    if (text == "none") delivered = 1;
                    if (text != "none" && text != "send on closed channel") wrong_text = 1;
                },
                [&] {
                    EXPECT(wrong_text == 0);
                    EXPECT(capacity == 1 || delivered == 0);
                    EXPECT(c.recv().has_value() == (delivered == 1));
                });
        }
    });
}

TEST_CASE("C31 a close among many sends") {
    const std::uint64_t s = seed("C31");
    in_run([s](verdict& v) {
        std::mt19937 random(static_cast<std::mt19937::result_type>(s));
        for (int round = 0; round < 30; ++round) {
            constexpr int k_senders = 6;
            const auto c = make_chan<int>(random() % 4);
            const unsigned before_close = random() % 200;
            std::array<std::atomic<int>, k_senders> delivered{};
            std::atomic<int> wrong_text{0};
            crowd all;
            const auto send = [&](int who) {
                const std::string text = panic_of([&] {
                    for (;;) {
                        c.send(who);
                        ++delivered[static_cast<std::size_t>(who)];
                    }
                });
                if (text != "send on closed channel") ++wrong_text;
            };
            for (int i = 0; i < k_senders - 1; ++i) all.go([&send, i] { send(i); });
            std::thread foreign([&] { send(k_senders - 1); });
            all.go([&] {
                for (unsigned i = 0; i < before_close; ++i) pirn::yield();
                c.close();
            });
            std::array<int, k_senders> received{};
            for (const int who : c) ++received[static_cast<std::size_t>(who)];
            all.join();
            foreign.join();
            EXPECT(wrong_text == 0);
            for (std::size_t i = 0; i < k_senders; ++i) EXPECT(delivered[i] == received[i]);
        }
    });
}
