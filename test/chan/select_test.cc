// SPDX-License-Identifier: MIT
// select: which case runs, and what blocks: L01-L10, L16, L17, L24.
#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <pirn/select.h>
#include <pirn/sleep.h>

#include "test/chan/verdict.h"

using namespace pirn::test;
using pirn::chan;
using pirn::make_chan;
using pirn::on_recv;
using pirn::on_send;
using pirn::otherwise;
using pirn::select;
using pirn::select_case;

namespace {

// How far counts are from equal ones, as chi-square.
double unevenness(const std::vector<int>& counts) {
    double total = 0, sum = 0;
    for (const int n : counts) total += n;
    const double expected = total / static_cast<double>(counts.size());
    for (const int n : counts) sum += (n - expected) * (n - expected) / expected;
    return sum;
}

// What is exceeded once in a million times, for n - 1 degrees of freedom (Wilson and Hilferty).
double rarely_exceeded(std::size_t n) {
    const double k = static_cast<double>(n - 1), z = 4.75;
    return k * std::pow(1 - 2 / (9 * k) + z * std::sqrt(2 / (9 * k)), 3);
}

}  // namespace

TEST_CASE("L01 L02 no case, and only nil channels: blocks for ever") {
    in_run([](verdict& v) {
        std::atomic<int> reached{0}, passed{0};
        const auto block = [&](auto how) {
            pirn::go([&, how] {
                ++reached;
                how();
                ++passed;
            });
        };
        block([] { select(); });
        block([] { select(std::span<select_case>()); });
        block([] { select(on_recv(chan<int>()), on_send(chan<int>(), 1), on_recv(chan<void>())); });
        block([] {
            std::vector<select_case> cases(3);
            cases[1] = on_recv(chan<int>());
            select(cases);
        });
        UNTIL(reached == 4);
        for (int i = 0; i < 1000; ++i) pirn::yield();
        EXPECT(passed == 0);
    });
}

TEST_CASE("L02 nil cases among live ones are ignored") {
    in_run([](verdict& v) {
        const chan<int> nil;
        const auto c = make_chan<int>(1);
        for (int i = 0; i < 100; ++i) {
            std::optional<int> got;
            c.send(i);
            EXPECT(select(on_recv(nil), on_recv(c, got), on_send(nil, 7)) == 1);
            EXPECT(got == i);
            EXPECT(select(on_recv(nil), otherwise(), on_send(nil, 7)) == 1);
        }
        // Also while one waits.
        crowd all;
        std::atomic<int> index{-1};
        all.go([&] { index = select(on_send(nil, 1), on_recv(nil), on_recv(c)); });
        UNTIL(receivers_parked(c) == 1);
        c.send(1);
        all.join();
        EXPECT(index == 2);
    });
}

TEST_CASE("L03 otherwise is taken exactly when nothing is ready, and counts as a case") {
    in_run([](verdict& v) {
        const auto c = make_chan<int>(1), d = make_chan<int>(1);
        d.send(1);
        int ran = 0;
        for (int i = 0; i < 200; ++i) {
            EXPECT(select(otherwise([&] { ++ran; }), on_recv(c), on_send(d, 1)) == 0);
            EXPECT(select(on_recv(c), otherwise(), on_send(d, 1)) == 1);
            EXPECT(select(on_recv(c), on_send(d, 1), otherwise([&] { ++ran; })) == 2);
            c.send(i);
            std::optional<int> got;
            EXPECT(select(otherwise(), on_recv(c, got), on_send(d, 1)) == 1);
            EXPECT(got == i);
        }
        EXPECT(ran == 400);
        EXPECT(select(otherwise()) == 0);
        // Somebody is parked: that is as good as a value.
        const auto e = make_chan<int>();
        crowd all;
        all.go([&] { e.send(5); });
        UNTIL(senders_parked(e) == 1);
        EXPECT(select(otherwise(), on_send(e, 1), on_recv(e)) == 2);
        all.join();
        all.go([&] { EXPECT(e.recv() == 6); });
        UNTIL(receivers_parked(e) == 1);
        EXPECT(select(otherwise(), on_send(e, 6), on_recv(e)) == 1);
        all.join();
    });
}

TEST_CASE("L04 the one case that is ready is chosen") {
    in_run([](verdict& v) {
        std::array<chan<int>, 4> chans;
        for (auto& c : chans) c = make_chan<int>(1);
        for (int i = 0; i < 400; ++i) {
            const int ready = i % 4;
            chans[static_cast<std::size_t>(ready)].send(i);
            std::array<std::optional<int>, 4> got;
            EXPECT(select(on_recv(chans[0], got[0]), on_recv(chans[1], got[1]),
                          on_recv(chans[2], got[2]), on_recv(chans[3], got[3])) == ready);
            for (int k = 0; k < 4; ++k)
                EXPECT(got[static_cast<std::size_t>(k)] ==
                       (k == ready ? std::optional(i) : std::nullopt));
        }
        // Parked, and woken by any of them, sending or receiving.
        const auto into = make_chan<int>(), out = make_chan<int>();
        for (int i = 0; i < 200; ++i) {
            crowd all;
            std::atomic<int> index{-1}, value{-1};
            all.go([&] {
                index = select(on_recv(into, [&](std::optional<int> n) { value = n.value(); }),
                               on_send(out, i, [&] { value = 1000 + i; }));
            });
            UNTIL(receivers_parked(into) == 1 && senders_parked(out) == 1);
            if (i % 2 == 0)
                into.send(i);
            else
                EXPECT(out.recv() == i);
            all.join();
            EXPECT(index == i % 2);
            EXPECT(value == (i % 2 == 0 ? i : 1000 + i));
            EXPECT(is_idle(into) && is_idle(out));
        }
    });
}

TEST_CASE("L05 L06 among several that are ready each has the same chance") {
    in_run([](verdict& v) {
        constexpr int k_rounds = 10'000;
        for (const std::size_t cases : {2u, 3u, 7u}) {
            std::vector<int> counts(cases);
            std::vector<chan<int>> chans(cases);
            for (auto& c : chans) {
                c = make_chan<int>(k_rounds);
                for (int i = 0; i < k_rounds; ++i) c.send(i);
            }
            for (int i = 0; i < k_rounds; ++i) {
                int index = 0;
                if (cases == 2) {
                    index = select(on_recv(chans[0]), on_recv(chans[1]));
                } else if (cases == 3) {
                    index = select(on_recv(chans[0]), on_recv(chans[1]), on_recv(chans[2]));
                } else {
                    std::vector<select_case> all;
                    for (const auto& c : chans) all.emplace_back(on_recv(c));
                    index = select(all);
                }
                ++counts[static_cast<std::size_t>(index)];
            }
            EXPECT(unevenness(counts) < rarely_exceeded(cases));
        }
        // Two parked senders, and a buffer's place against a value.
        const auto c = make_chan<int>(1);
        const auto always = make_chan<int>();
        always.close();
        std::vector<int> counts(2);
        for (int i = 0; i < k_rounds; ++i) {
            const int index = select(on_send(c, i), on_recv(always));
            ++counts[static_cast<std::size_t>(index)];
            if (index == 0) (void)c.recv();
        }
        EXPECT(unevenness(counts) < rarely_exceeded(2));
    });
    // On a thread that the runtime does not own, which draws from another generator.
    std::vector<int> counts(3);
    const auto always = make_chan<void>();
    always.close();
    for (int i = 0; i < 10'000; ++i)
        ++counts[static_cast<std::size_t>(
            select(on_recv(always), on_recv(always), on_recv(always)))];
    CHECK(unevenness(counts) < rarely_exceeded(3));
}

TEST_CASE("L07 L16 a closed channel's receive is ready, and a close wakes") {
    in_run([](verdict& v) {
        const auto c = make_chan<int>(2), never = make_chan<int>();
        c.send(1);
        c.close();
        std::optional<int> got = 9;
        EXPECT(select(on_recv(never), on_recv(c, got)) == 1);
        EXPECT(got == 1);
        for (int i = 0; i < 10; ++i) {
            got = 9;
            EXPECT(select(on_recv(never), on_recv(c, got), otherwise()) == 1);
            EXPECT(!got.has_value());
        }
        bool empty = false;
        EXPECT(select(on_recv(c, [&](std::optional<int> n) { empty = !n; })) == 0);
        EXPECT(empty);

        for (int i = 0; i < 100; ++i) {
            const auto d = make_chan<int>();
            const auto e = make_chan<void>();
            crowd all;
            std::atomic<int> index{-1};
            all.go([&] {
                std::optional<int> out = 3;
                bool more = true;
                index = select(on_recv(never), on_recv(d, out), on_recv(e, [&](bool m) {
                                   more = m;
                               }));
                if (index == 1) EXPECT(!out.has_value() && more);
                if (index == 2) EXPECT(out == 3 && !more);
            });
            UNTIL(receivers_parked(d) == 1 && receivers_parked(e) == 1);
            if (i % 2 == 0)
                d.close();
            else
                e.close();
            all.join();
            EXPECT(index == 1 + i % 2);
            EXPECT(is_idle(never) && is_idle(d) && is_idle(e));
        }
    });
}

TEST_CASE("L08 a send on a closed channel throws when it is chosen, and never succeeds") {
    in_run([](verdict& v) {
        const auto closed = make_chan<int>(1), never = make_chan<int>();
        closed.close();
        const std::string text = "send on closed channel";
        EXPECT(panic_of([&] { select(on_send(closed, 1)); }) == text);
        EXPECT(panic_of([&] { select(on_recv(never), on_send(closed, 1)); }) == text);
        for (int i = 0; i < 100; ++i)
            EXPECT(panic_of([&] { select(otherwise(), on_send(closed, 1)); }) == text);
        // Beside one that is ready, either.
        const auto ready = make_chan<int>(1);
        int panics = 0;
        for (int i = 0; i < 1000; ++i) {
            (void)ready.try_send(1);
            if (panic_of([&] { EXPECT(select(on_send(closed, 1), on_recv(ready)) == 1); }) == text)
                ++panics;
        }
        EXPECT(panics > 300 && panics < 700);
        EXPECT(closed.len() == 0);
        // One that waits meanwhile, by a close.
        for (int i = 0; i < 50; ++i) {
            const auto c = make_chan<counted>();
            const long alive = counted::alive;
            crowd all;
            std::atomic<bool> kept{false};
            all.go([&] {
                counted value(7);
                const std::string what =
                    panic_of([&] { select(on_recv(never), on_send(c, std::move(value))); });
                kept = what == text && value.value == 7;
            });
            UNTIL(senders_parked(c) == 1);
            c.close();
            all.join();
            EXPECT(kept);
            EXPECT(is_idle(never) && is_idle(c));
            EXPECT(counted::alive == alive);
        }
        // A case of its own is spent by that.
        std::vector<select_case> cases;
        cases.emplace_back(on_recv(never));
        cases.emplace_back(on_send(closed, 1));
        EXPECT(panic_of([&] { select(cases); }) == text);
        EXPECT(cases[0] && !cases[1]);
    });
}

TEST_CASE("L09 a select does not talk to itself") {
    in_run([](verdict& v) {
        for (const std::size_t capacity : {0u, 1u, 5u}) {
            // Go's TestSelfSelect.
            const auto c = make_chan<int>(capacity);
            crowd all;
            std::atomic<bool> own{false};
            std::atomic<long> sent{0}, received{0};
            for (int g = 0; g < 2; ++g)
                all.go([&, g] {
                    for (int i = 0; i < 1000; ++i) {
                        if (g == 0 && i % 8 == 0) pirn::yield();
                        const auto take = [&](std::optional<int> n) {
                            ++received;
                            if (capacity == 0 && n == g) own = true;
                        };
                        const auto count = [&] { ++sent; };
                        if (i % 2 == 0)
                            select(on_send(c, g, count), on_recv(c, take));
                        else
                            select(on_recv(c, take), on_send(c, g, count));
                    }
                });
            all.join();
            EXPECT(!own);
            EXPECT(sent == received + static_cast<long>(c.len()));
            EXPECT(is_idle(c));
        }
        const auto alone = make_chan<int>();
        EXPECT(select(on_send(alone, 1), on_recv(alone), otherwise()) == 2);
        crowd all;
        std::atomic<int> index{-1};
        all.go([&] { index = select(on_send(alone, 1), on_recv(alone)); });
        UNTIL(senders_parked(alone) == 1 && receivers_parked(alone) == 1);
        for (int i = 0; i < 100; ++i) pirn::yield();
        EXPECT(index == -1);
        EXPECT(alone.recv() == 1);
        all.join();
        EXPECT(index == 0);
    });
}

TEST_CASE("L10 a channel that is in several cases is locked once") {
    in_run([](verdict& v) {
        // Go's TestSelectDuplicateChannel.
        const auto c = make_chan<int>(), d = make_chan<int>(), e = make_chan<int>();
        crowd all;
        all.go([&] { select(on_recv(c), on_recv(c), on_recv(e)); });
        UNTIL(receivers_parked(c) == 2 && receivers_parked(e) == 1);
        all.go([&] { select(on_recv(d), on_recv(e), on_send(d, 1)); });
        UNTIL(receivers_parked(e) == 2 && is_idle(d) == false);
        e.send(8);
        UNTIL(receivers_parked(c) == 0);
        e.send(9);
        all.join();
        EXPECT(is_idle(c) && is_idle(d) && is_idle(e));
        // The winner stands beside losers of the same channel.
        for (int i = 0; i < 100; ++i) {
            std::atomic<int> got{0};
            all.go([&] {
                const auto add = [&](std::optional<int> n) { got += n.value(); };
                select(on_recv(c, add), on_recv(d, add), on_recv(c, add), on_recv(d, add));
            });
            UNTIL(receivers_parked(c) == 2 && receivers_parked(d) == 2);
            (i % 2 == 0 ? c : d).send(5);
            all.join();
            EXPECT(got == 5);
            EXPECT(is_idle(c) && is_idle(d));
        }
    });
}

TEST_CASE("L17 a timeout fires only if nothing came earlier") {
    in_run([](verdict& v) {
        const auto after = [](int ms) {
            const auto c = make_chan<void>();
            pirn::go([c, ms] {
                pirn::sleep_for(std::chrono::milliseconds(ms));
                c.close();
            });
            return c;
        };
        const auto c = make_chan<int>();
        const auto begin = pirn::clock::now();
        EXPECT(select(on_recv(c), on_recv(after(20))) == 1);
        EXPECT(pirn::clock::now() - begin >= std::chrono::milliseconds(20));
        EXPECT(is_idle(c));
        crowd all;
        all.go([&] { c.send(1); });
        EXPECT(select(on_recv(c), on_recv(after(60'000))) == 0);
        all.join();
    });
}

TEST_CASE("L24 what a select sends varies at random") {
    in_run([](verdict& v) {
        // Go's TestPseudoRandomSend.
        for (const std::size_t capacity : {0u, 100u}) {
            constexpr int k_values = 100;
            const auto c = make_chan<int>(capacity);
            std::vector<int> got;
            crowd all;
            all.go([&] {
                for (int i = 0; i < k_values; ++i) got.push_back(c.recv().value());
            });
            for (int i = 0; i < k_values; ++i) select(on_send(c, 0), on_send(c, 1));
            all.join();
            const auto ones = std::count(got.begin(), got.end(), 1);
            EXPECT(ones >= k_values / 10 && ones <= k_values * 9 / 10);
            int changes = 0;
            for (std::size_t i = 1; i < got.size(); ++i) changes += got[i] != got[i - 1] ? 1 : 0;
            EXPECT(changes > k_values / 10);
        }
    });
}
