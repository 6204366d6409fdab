// SPDX-License-Identifier: MIT
// Who blocks, who does not, and in what order they go on: C01-C07, C14, C15, C20, C21.
#include <array>
#include <optional>
#include <vector>

#include "test/chan/verdict.h"

using namespace pirn::test;
using pirn::chan;
using pirn::make_chan;
using pirn::recv_status;

TEST_CASE("C01 receive from an empty open channel blocks until a value comes") {
    in_run([](verdict& v) {
        for (const std::size_t capacity : {0u, 1u, 8u}) {
            const auto c = make_chan<int>(capacity);
            std::atomic<int> got{0};
            crowd all;
            all.go([&] { got = c.recv().value(); });
            UNTIL(receivers_parked(c) == 1);
            EXPECT(got == 0);
            c.send(7);
            all.join();
            EXPECT(got == 7);
            EXPECT(receivers_parked(c) == 0);
        }
    });
}

TEST_CASE("C02 unbuffered send blocks until a receiver takes the value") {
    in_run([](verdict& v) {
        const auto c = make_chan<int>();
        std::atomic<bool> sent{false};
        crowd all;
        all.go([&] {
            c.send(7);
            sent = true;
        });
        UNTIL(senders_parked(c) == 1);
        EXPECT(!sent);
        EXPECT(c.recv() == 7);
        all.join();
        EXPECT(sent);
    });
}

TEST_CASE("C03 buffered send blocks only when the buffer is full") {
    in_run([](verdict& v) {
        const auto c = make_chan<int>(3);
        for (int i = 0; i < 3; ++i) {
            c.send(i);
            EXPECT(c.len() == static_cast<std::size_t>(i) + 1);
        }
        EXPECT(!c.try_send(3));
        crowd all;
        all.go([&] { c.send(3); });
        UNTIL(senders_parked(c) == 1);
        EXPECT(c.len() == 3);
        for (int i = 0; i < 4; ++i) EXPECT(c.recv() == i);
        all.join();
        EXPECT(c.len() == 0);
    });
}

TEST_CASE("C04 values leave in the order in which they came") {
    in_run([](verdict& v) {
        for (const std::size_t capacity : {0u, 1u, 2u, 10u, 1000u}) {
            const auto c = make_chan<int>(capacity);
            constexpr int k_values = 3000;
            pirn::go([c] {
                for (int i = 0; i < k_values; ++i) c.send(i);
                c.close();
            });
            int next = 0;
            for (const int value : c) EXPECT(value == next++);
            EXPECT(next == k_values);
        }
    });
}

TEST_CASE("C05 each sender's own order is kept") {
    in_run([](verdict& v) {
        for (const std::size_t capacity : {0u, 1u, 5u}) {
            constexpr int k_senders = 8, k_values = 400;
            const auto c = make_chan<std::pair<int, int>>(capacity);
            for (int s = 0; s < k_senders; ++s)
                pirn::go([c, s] {
                    for (int i = 0; i < k_values; ++i) c.send({s, i});
                });
            std::array<int, k_senders> next{};
            for (int n = 0; n < k_senders * k_values; ++n) {
                const auto [s, i] = c.recv().value();
                EXPECT(i == next[static_cast<std::size_t>(s)]++);
            }
        }
    });
}

TEST_CASE("C06 blocked receivers are served in the order of their arrival") {
    in_run([](verdict& v) {
        for (const std::size_t capacity : {0u, 3u}) {
            constexpr int k_receivers = 20;
            const auto c = make_chan<int>(capacity);
            std::array<std::atomic<int>, k_receivers> got{};
            crowd all;
            for (int r = 0; r < k_receivers; ++r) {
                all.go([&, r] { got[static_cast<std::size_t>(r)] = c.recv().value(); });
                UNTIL(receivers_parked(c) == static_cast<std::size_t>(r) + 1);
            }
            for (int i = 0; i < k_receivers; ++i) c.send(100 + i);
            all.join();
            for (int r = 0; r < k_receivers; ++r)
                EXPECT(got[static_cast<std::size_t>(r)] == 100 + r);
        }
    });
}

TEST_CASE("C07 blocked senders are served in the order of their arrival") {
    in_run([](verdict& v) {
        for (const int capacity : {0, 3}) {
            constexpr int k_senders = 20;
            const auto c = make_chan<int>(static_cast<std::size_t>(capacity));
            for (int i = 0; i < capacity; ++i) c.send(i);
            crowd all;
            for (int s = 0; s < k_senders; ++s) {
                all.go([&c, value = capacity + s] { c.send(value); });
                UNTIL(senders_parked(c) == static_cast<std::size_t>(s) + 1);
            }
            for (int i = 0; i < capacity + k_senders; ++i) EXPECT(c.recv() == i);
            all.join();
        }
    });
}

TEST_CASE("C14 send and receive on nil block for ever, the others do not") {
    in_run([](verdict& v) {
        std::atomic<int> passed{0}, reached{0};
        pirn::go([&] {
            ++reached;
            chan<int>().send(1);
            ++passed;
        });
        pirn::go([&] {
            ++reached;
            (void)chan<int>().recv();
            ++passed;
        });
        pirn::go([&] {
            ++reached;
            (void)chan<void>().recv();
            ++passed;
        });
        UNTIL(reached == 3);
        for (int i = 0; i < 1000; ++i) pirn::yield();
        EXPECT(passed == 0);

        const chan<int> nil;
        int out = 5;
        std::optional<int> optional_out = 6;
        EXPECT(!nil.try_send(1));
        EXPECT(nil.try_recv(out) == recv_status::empty);
        EXPECT(nil.try_recv(optional_out) == recv_status::empty);
        EXPECT(out == 5 && optional_out == 6);
        EXPECT(!chan<void>().try_send());
        EXPECT(chan<void>().try_recv() == recv_status::empty);
    });
}

TEST_CASE("C15 len and cap") {
    in_run([](verdict& v) {
        const chan<int> nil;
        EXPECT(nil.len() == 0 && nil.cap() == 0);

        const auto buffered = make_chan<int>(4);
        EXPECT(buffered.len() == 0 && buffered.cap() == 4);
        buffered.send(1);
        buffered.send(2);
        EXPECT(buffered.len() == 2 && buffered.cap() == 4);
        EXPECT(pirn::send_chan<int>(buffered).len() == 2);
        EXPECT(pirn::recv_chan<int>(buffered).cap() == 4);
        EXPECT(buffered.recv() == 1);
        EXPECT(buffered.len() == 1);
        buffered.close();
        EXPECT(buffered.len() == 1 && buffered.cap() == 4);

        const auto unbuffered = make_chan<int>();
        crowd all;
        for (int i = 0; i < 3; ++i) all.go([&] { unbuffered.send(1); });
        UNTIL(senders_parked(unbuffered) == 3);
        EXPECT(unbuffered.len() == 0 && unbuffered.cap() == 0);
        for (int i = 0; i < 3; ++i) (void)unbuffered.recv();
        all.join();
    });
}

TEST_CASE("C20 a parked sender's value reaches exactly one receiver") {
    in_run([](verdict& v) {
        for (int round = 0; round < 50; ++round) {
            const auto c = make_chan<int>();
            crowd all;
            all.go([&] { c.send(round); });
            UNTIL(senders_parked(c) == 1);
            std::atomic<int> taken{0}, wrong{0};
            for (int r = 0; r < 4; ++r)
                all.go([&] {
                    int out = -1;
                    for (int tries = 0; tries < 20; ++tries) {
                        if (c.try_recv(out) == recv_status::ok) {
                            ++taken;
                            if (out != round) ++wrong;
                        }
                        if (tries % 5 == 0) pirn::yield();
                    }
                });
            all.join();
            EXPECT(taken == 1 && wrong == 0);
        }
    });
}

TEST_CASE("C21 full buffer and a parked sender: the head goes out, its value to the tail") {
    in_run([](verdict& v) {
        const auto c = make_chan<int>(3);
        // The ring's start is in its middle, so that it wraps.
        for (int i = 0; i < 2; ++i) {
            c.send(0);
            (void)c.recv();
        }
        for (int i = 0; i < 3; ++i) c.send(i);
        crowd all;
        for (int i = 3; i < 6; ++i) {
            all.go([&c, i] { c.send(i); });
            UNTIL(senders_parked(c) == static_cast<std::size_t>(i) - 2);
        }
        for (int i = 0; i < 3; ++i) {
            EXPECT(c.recv() == i);
            EXPECT(c.len() == 3);
            EXPECT(senders_parked(c) == static_cast<std::size_t>(2 - i));
        }
        all.join();
        for (int i = 3; i < 6; ++i) EXPECT(c.recv() == i);
        EXPECT(c.len() == 0);
        EXPECT(!pirn::detail::chan_access::of(c)->closed.load(std::memory_order_relaxed));
    });
}
