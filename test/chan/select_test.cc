// SPDX-License-Identifier: MIT
// select: which case runs, what blocks, what the others leave behind: L01-L17, L20, L23, L24.
#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
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
using pirn::recv_chan;
using pirn::recv_status;
using pirn::select;
using pirn::select_case;
using pirn::send_chan;

namespace {

template <class C>
bool is_idle(const C& c) {
    return receivers_parked(c) == 0 && senders_parked(c) == 0;
}

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

// Moves of it throw while `armed`; so it travels in a box.
struct fragile {
    static inline std::atomic<bool> armed{false};
    int value;
    explicit fragile(int v) : value(v) {}
    fragile(fragile&& other) : value(other.value) {
        if (armed) throw std::runtime_error("a move");
        other.value = -1;
    }
};

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

TEST_CASE("L13 L15 losing cases leave nothing behind and consume nothing") {
    in_run([](verdict& v) {
        const long alive = counted::alive, values = counted::values;
        const auto c = make_chan<counted>(), d = make_chan<counted>(), e = make_chan<counted>(1);
        for (int i = 0; i < 100; ++i) {
            crowd all;
            std::atomic<int> left{-1}, index{-1};
            all.go([&] {
                counted first(1), second(2);
                index = select(on_send(c, std::move(first)), on_send(d, std::move(second)),
                               on_recv(e));
                left = (first.value == 1 ? 1 : 0) + (second.value == 2 ? 2 : 0);
            });
            UNTIL(senders_parked(c) == 1 && senders_parked(d) == 1 && receivers_parked(e) == 1);
            if (i % 3 == 0) EXPECT(c.recv()->value == 1);
            if (i % 3 == 1) EXPECT(d.recv()->value == 2);
            if (i % 3 == 2) e.send(counted(3));
            all.join();
            EXPECT(index == i % 3);
            EXPECT(left == (i % 3 == 0 ? 2 : i % 3 == 1 ? 1 : 3));
            EXPECT(is_idle(c) && is_idle(d) && is_idle(e));
            // They are as they were.
            std::optional<counted> none;
            EXPECT(c.try_recv(none) == recv_status::empty && !c.try_send(counted(1)));
            e.send(counted(4));
            EXPECT(e.recv()->value == 4);
        }
        counted kept(5);
        EXPECT(select(on_send(c, std::move(kept)), otherwise()) == 1);
        EXPECT(kept.value == 5);
        // The losing case of a span keeps its value, and can be chosen later.
        std::vector<select_case> cases;
        cases.emplace_back(on_send(c, std::move(kept)));
        EXPECT(kept.value == -1);
        cases.emplace_back(on_send(e, counted(6)));
        EXPECT(select(cases) == 1);
        EXPECT(cases[0] && !cases[1]);
        crowd all;
        all.go([&] { EXPECT(c.recv()->value == 5); });
        EXPECT(select(cases) == 0);
        EXPECT(!cases[0]);
        all.join();
        EXPECT(e.recv()->value == 6);
        cases.clear();
        EXPECT(counted::values == values);
        EXPECT(counted::alive == alive + 1);
    });
}

TEST_CASE("L14 channels and values are evaluated once, before it blocks") {
    in_run([](verdict& v) {
        const auto c = make_chan<std::string>(), d = make_chan<std::string>();
        std::atomic<int> asked{0};
        const auto ask = [&](const auto& what) -> const auto& {
            ++asked;
            return what;
        };
        std::string text = "before";
        crowd all;
        std::atomic<int> index{-1};
        all.go([&] { index = select(on_send(ask(c), ask(text)), on_recv(ask(d))); });
        UNTIL(senders_parked(c) == 1);
        EXPECT(asked == 3);
        // What was named is sent as it was then.
        text = "after";
        EXPECT(c.recv() == "before");
        all.join();
        EXPECT(index == 0 && asked == 3);
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

TEST_CASE("L20 as many cases as there are at run time") {
    in_run([](verdict& v) {
        for (const std::size_t count : {1u, 2u, 9u, 64u, 65u, 10'000u}) {
            std::vector<chan<int>> chans(count);
            for (auto& c : chans) c = make_chan<int>();
            std::vector<int> got(count);
            std::vector<select_case> cases;
            for (std::size_t i = 0; i < count; ++i)
                cases.emplace_back(on_recv(
                    chans[i], [&got, i](std::optional<int> n) { got[i] += n.value_or(-1); }));
            const std::size_t rounds = count < 100 ? count : 20;
            const std::size_t step = count / rounds;
            for (std::size_t r = 0; r < rounds; ++r) {
                const std::size_t at = r * step;
                crowd all;
                all.go([&] { chans[at].send(7); });
                if (r % 2 == 0) UNTIL(senders_parked(chans[at]) == 1);
                EXPECT(select(cases) == static_cast<int>(at));
                all.join();
                EXPECT(got[at] == 7);
                EXPECT(!cases[at]);
            }
            for (const auto& c : chans) EXPECT(is_idle(c));
            // All at once, in a span with another case in front.
            std::vector<select_case> sends;
            sends.emplace_back(otherwise());
            for (const auto& c : chans) sends.emplace_back(on_send(c, 1));
            EXPECT(select(sends) == 0);
            EXPECT(!sends[0]);
            crowd all;
            all.go([&] { EXPECT(chans[count / 2].recv() == 1); });
            EXPECT(select(sends) == static_cast<int>(count / 2) + 1);
            all.join();
        }
        std::vector<select_case> two;
        two.emplace_back(otherwise());
        two.emplace_back(otherwise());
        EXPECT(panic_of([&] { select(two); }) == "select: multiple default cases");
    });
}

TEST_CASE("L20 a select_case holds what it needs") {
    in_run([](verdict& v) {
        const long alive = counted::alive;
        {
            std::vector<select_case> cases;
            std::optional<std::string> out;
            auto text = std::make_unique<std::string>("owned");
            {
                const auto c = make_chan<std::string>(1);
                c.send("queued");
                cases.emplace_back(on_recv(c, out));
                const auto d = make_chan<counted>(1);
                cases.emplace_back(on_send(d, counted(1), [t = std::move(text)] { (void)*t; }));
                cases.emplace_back(on_recv(make_chan<void>(), [](bool) {}));
            }
            EXPECT(select(cases) + select(cases) == 1);
            EXPECT(out == "queued");
            EXPECT(!cases[0] && !cases[1] && cases[2]);
            select_case moved = std::move(cases[2]);
            EXPECT(moved && !cases[2]);
        }
        EXPECT(counted::alive == alive);
    });
}

TEST_CASE("L23 an exception in a handler leaves the channels as they should be") {
    in_run([](verdict& v) {
        const auto c = make_chan<int>(), d = make_chan<int>();
        for (int i = 0; i < 50; ++i) {
            crowd all;
            std::atomic<bool> caught{false};
            all.go([&] {
                try {
                    select(on_recv(c, [](std::optional<int>) { throw std::runtime_error("c"); }),
                           on_send(d, 5, [] { throw std::runtime_error("d"); }));
                } catch (const std::runtime_error& e) {
                    caught = e.what() == std::string(i % 2 == 0 ? "c" : "d");
                }
            });
            UNTIL(receivers_parked(c) == 1 && senders_parked(d) == 1);
            if (i % 2 == 0)
                c.send(1);
            else
                EXPECT(d.recv() == 5);
            all.join();
            EXPECT(caught);
            EXPECT(is_idle(c) && is_idle(d));
        }
        // A handler may block, use the same channels, and select.
        crowd all;
        std::atomic<int> inner{-1};
        all.go([&] {
            select(on_recv(c, [&](std::optional<int>) { inner = select(on_recv(c), on_recv(d)); }),
                   on_recv(d));
        });
        c.send(1);
        d.send(2);
        all.join();
        EXPECT(inner == 1);
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

TEST_CASE("values whose moves throw are not lost in a select") {
    in_run([](verdict& v) {
        const auto c = make_chan<fragile>(2), never = make_chan<fragile>();
        const auto throws = [](auto f) {
            fragile::armed = true;
            bool threw = false;
            try {
                f();
            } catch (const std::runtime_error&) {
                threw = true;
            }
            fragile::armed = false;
            return threw;
        };
        c.send(fragile(1));
        c.send(fragile(2));
        std::optional<fragile> out;
        EXPECT(throws([&] { select(on_recv(never), on_recv(c, out)); }));
        EXPECT(!out.has_value());
        EXPECT(throws([&] { select(on_recv(c, [](std::optional<fragile>) { std::abort(); })); }));
        EXPECT(select(on_recv(never), on_recv(c, out)) == 1);
        EXPECT(out->value == 1);
        EXPECT(select(on_recv(c)) == 0);
        EXPECT(c.len() == 0);
        // The sender's stays with the sender, and its receiver goes on to the next.
        fragile kept(3);
        EXPECT(throws([&] { select(on_send(c, std::move(kept)), on_recv(never)); }));
        EXPECT(kept.value == 3);
        EXPECT(select(on_recv(c), otherwise()) == 1);
        // Both parked, in boxes.
        for (int i = 0; i < 50; ++i) {
            crowd all;
            all.go([&] {
                fragile value(i);
                EXPECT(select(on_send(never, std::move(value)), on_recv(c)) == 0);
                EXPECT(value.value == -1);
            });
            UNTIL(senders_parked(never) == 1);
            EXPECT(select(on_recv(c), on_recv(never, out)) == 1);
            EXPECT(out->value == i);
            all.join();
            all.go([&] { EXPECT(select(on_recv(never, out), on_recv(c)) == 0); });
            UNTIL(receivers_parked(never) == 1);
            EXPECT(select(on_send(never, fragile(i + 1))) == 0);
            all.join();
            EXPECT(out->value == i + 1);
        }
        // A large one is sent by copy, too.
        struct large {
            std::array<char, 4096> bytes;
        };
        const auto l = make_chan<large>(1);
        const large value{{'x'}};
        EXPECT(select(on_send(l, value)) == 0);
        EXPECT(select(on_recv(l, [&](std::optional<large> got) {
            EXPECT(got->bytes[0] == 'x');
        })) == 0);
        std::vector<select_case> cases;
        cases.emplace_back(on_send(l, value));
        cases.emplace_back(on_send(never, fragile(5)));
        EXPECT(select(cases) == 0);
        EXPECT(l.len() == 1);
    });
}

TEST_CASE("one-way handles, void, and what does not compile") {
    in_run([](verdict& v) {
        const auto c = make_chan<std::unique_ptr<int>>(1);
        const send_chan<std::unique_ptr<int>> in = c;
        const recv_chan<std::unique_ptr<int>> out = c;
        EXPECT(select(on_send(in, std::make_unique<int>(4))) == 0);
        std::optional<std::unique_ptr<int>> got;
        EXPECT(select(on_recv(out, got)) == 0);
        EXPECT(**got == 4);
        const auto e = make_chan<void>(1);
        bool sent = false;
        EXPECT(select(on_send(e, [&] { sent = true; })) == 0);
        EXPECT(sent);
        EXPECT(select(on_send(pirn::send_chan<void>(e)), on_recv(e, [&](bool more) {
            EXPECT(more);
        })) == 1);
    });
    const auto can_recv = []<class C>(const C& c) { return requires { on_recv(c); }; };
    const auto can_send = []<class C>(const C& c) { return requires { on_send(c, 1); }; };
    CHECK(can_recv(chan<int>()));
    CHECK(can_recv(recv_chan<int>()));
    CHECK(!can_recv(send_chan<int>()));
    CHECK(can_send(chan<int>()));
    CHECK(can_send(send_chan<int>()));
    CHECK(!can_send(recv_chan<int>()));
    // A case is no variable.
    using a_case = decltype(on_recv(chan<int>()));
    STATIC_REQUIRE(!std::is_copy_constructible_v<a_case>);
    STATIC_REQUIRE(!std::is_move_constructible_v<a_case>);
}

TEST_CASE("select works from plain threads, with and without a runtime") {
    const auto exercise = [](verdict& v) {
        const auto there = make_chan<int>(), back = make_chan<int>(1);
        const auto quit = make_chan<void>();
        std::thread echo([&] {
            for (bool more = true; more;)
                select(on_recv(there, [&](std::optional<int> n) { back.send(n.value() + 1); }),
                       on_recv(quit, [&](bool) { more = false; }));
        });
        for (int i = 0; i < 300; ++i) {
            EXPECT(select(on_send(there, i), on_recv(back)) == 0);
            std::optional<int> got;
            EXPECT(select(on_recv(quit), on_recv(back, got)) == 1);
            EXPECT(got == i + 1);
        }
        quit.close();
        echo.join();
        EXPECT(is_idle(there) && is_idle(back) && is_idle(quit));
    };
    verdict v;
    exercise(v);
    CHECK(v.text() == "");
    in_run(exercise);
}

TEST_CASE("channels outlive a run whose goroutines still select on them") {
    on_procs([](int procs) {
        const auto c = make_chan<int>(), d = make_chan<int>();
        auto orphan = std::make_unique<chan<int>>(make_chan<int>());
        pirn::run(
            [&] {
                for (int i = 0; i < 3; ++i) {
                    pirn::go([&c, &d] { select(on_recv(c), on_send(d, 1), on_recv(c)); });
                    pirn::go([&c, o = orphan.get()] {
                        select(on_recv(*o), on_recv(c), on_recv(*o));
                    });
                }
                UNTIL(receivers_parked(c) == 9 && senders_parked(d) == 3 &&
                      receivers_parked(*orphan) == 6);
                orphan.reset();
                // Two are woken, and the run may end before they have gone on.
                c.send(1);
                c.send(1);
            },
            {.procs = procs});
        REQUIRE(is_idle(c));
        REQUIRE(is_idle(d));
        REQUIRE(!c.try_send(1));
        int out = 0;
        REQUIRE(d.try_recv(out) == recv_status::empty);
        int got = 0;
        std::thread receiver([&] { select(on_recv(c, [&](auto n) { got = *n; }), on_recv(d)); });
        c.send(9);
        receiver.join();
        REQUIRE(got == 9);
        REQUIRE(is_idle(d));
    });
}

#if defined(PIRN_SPLIT) && !defined(PIRN_PERTURB)

TEST_CASE("a goroutine that selects over a few channels parks on its small block") {
    constexpr std::size_t k_goroutines = 2000;
    std::uint64_t hops = k_goroutines;
    pirn::run(
        [&] {
            const auto a = make_chan<int>(), b = make_chan<int>(), c = make_chan<int>();
            const auto quit = make_chan<void>();
            const std::uint64_t before = pirn::runtime_stats().hops;
            for (std::size_t i = 0; i < k_goroutines; ++i)
                pirn::go([&] {
                    std::optional<int> out;
                    select(on_recv(a, out), on_recv(b), on_send(c, 1), on_recv(quit));
                });
            UNTIL(receivers_parked(quit) == k_goroutines);
            hops = pirn::runtime_stats().hops - before;
            quit.close();
            UNTIL(pirn::num_goroutine() == 1);
        },
        {.procs = 1});
    // Hops are made for the pool to grow, not by each goroutine.
    CHECK(hops < k_goroutines / 20);
}

#endif
