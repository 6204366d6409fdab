// SPDX-License-Identifier: MIT
// select among many goroutines and threads at once: L11, L12, L18, L19, L22, and random programs.
#include <array>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <pirn/select.h>

#include "test/chan/verdict.h"
#include "test/support/resident.h"

using namespace pirn::test;
using pirn::chan;
using pirn::detail::chan_access;
using pirn::make_chan;
using pirn::on_recv;
using pirn::on_send;
using pirn::otherwise;
using pirn::recv_status;
using pirn::select;
using pirn::select_case;

TEST_CASE("L11 selects over the same channels in opposite order do not wait for each other") {
    in_run([](verdict& v) {
        const auto a = make_chan<int>(), b = make_chan<int>();
        const int rounds = at_full_speed(20'000);
        std::atomic<long> balance{0};
        const auto add = [&](std::optional<int> n) { balance -= n.value(); };
        crowd all;
        for (int g = 0; g < 2; ++g) {
            all.go([&] {
                for (int i = 1; i <= rounds; ++i) {
                    select(on_send(a, i), on_send(b, i));
                    balance += i;
                }
            });
            all.go([&] {
                for (int i = 1; i <= rounds; ++i) select(on_recv(b, add), on_recv(a, add));
            });
        }
        all.join();
        EXPECT(balance == 0);
    });
}

TEST_CASE("L12 exactly one case fires when many channels become ready at once") {
    in_run([](verdict& v) {
        // Go's doubleselect.go: no value comes twice, and none is lost.
        const int rounds = at_full_speed(5000);
        const auto a = make_chan<int>(), b = make_chan<int>(), c = make_chan<int>(),
                   d = make_chan<int>();
        const auto multiplexed = make_chan<int>();
        crowd all;
        all.go([&] {
            for (int i = 0; i < rounds; ++i)
                select(on_send(a, i), on_send(b, i), on_send(c, i), on_send(d, i));
            for (const auto& each : {a, b, c, d}) each.close();
        });
        std::atomic<int> readers{4};
        for (const auto& each : {a, b, c, d})
            all.go([&, each] {
                for (const int n : each) multiplexed.send(n);
                if (--readers == 0) multiplexed.close();
            });
        std::vector<int> seen(static_cast<std::size_t>(rounds));
        for (const int n : multiplexed) ++seen[static_cast<std::size_t>(n)];
        all.join();
        for (const int n : seen) EXPECT(n == 1);
    });
}

TEST_CASE("L12 one of several senders at the same moment wins") {
    const std::uint64_t random = seed("L12");
    in_run([random](verdict& v) {
        chan<int> a, b;
        std::atomic<int> taken{0};
        crowd all;
        bool left_sent = false, right_sent = false;
        duel(
            at_full_speed(1000), random,
            [&] {
                a = make_chan<int>();
                b = make_chan<int>();
                taken = 0;
                all.go([&] {
                    select(on_recv(a, [&](std::optional<int>) { ++taken; }),
                           on_recv(b, [&](std::optional<int>) { ++taken; }));
                });
                UNTIL(receivers_parked(a) == 1 && receivers_parked(b) == 1);
            },
            [&] { left_sent = a.try_send(1); }, [&] { right_sent = b.try_send(2); },
            [&] {
                all.join();
                EXPECT(left_sent != right_sent);
                EXPECT(taken == 1);
                EXPECT(receivers_parked(a) == 0 && receivers_parked(b) == 0);
            });
    });
}

TEST_CASE("L18 four senders and four receivers select over four channels") {
    in_run([](verdict& v) {
        // Go's TestSelectStress.
        const int k_each = at_full_speed(4000);
        std::array<chan<int>, 4> c;
        c[0] = make_chan<int>();
        c[1] = make_chan<int>();
        c[2] = make_chan<int>(2);
        c[3] = make_chan<int>(3);
        crowd all;
        for (std::size_t k = 0; k < 4; ++k) {
            all.go([&, k] {
                for (int i = 0; i < k_each; ++i) c[k].send(0);
            });
            all.go([&, k] {
                for (int i = 0; i < k_each; ++i) (void)c[k].recv();
            });
        }
        all.go([&] {
            std::array<int, 4> n{};
            auto c1 = c;
            for (int i = 0; i < 4 * k_each; ++i) {
                const auto at = static_cast<std::size_t>(
                    select(on_send(c1[3], 0), on_send(c1[2], 0), on_send(c1[0], 0),
                           on_send(c1[1], 0)));
                const std::size_t which = std::array<std::size_t, 4>{3, 2, 0, 1}[at];
                if (++n[which] == k_each) c1[which] = nullptr;
            }
        });
        all.go([&] {
            std::array<int, 4> n{};
            auto c1 = c;
            for (int i = 0; i < 4 * k_each; ++i) {
                const auto which = static_cast<std::size_t>(
                    select(on_recv(c1[0]), on_recv(c1[1]), on_recv(c1[2]), on_recv(c1[3])));
                if (++n[which] == k_each) c1[which] = nullptr;
            }
        });
        all.join();
        for (const auto& each : c) {
            EXPECT(each.len() == 0);
            EXPECT(receivers_parked(each) == 0 && senders_parked(each) == 0);
        }
    });
}

TEST_CASE("L19 otherwise is not taken while there always is something in one of the channels") {
    const std::uint64_t random = seed("L19");
    in_run([random](verdict& v) {
        // Go's TestNonblockSelectRace and its second, and with the cases the other way round.
        for (const bool by_close : {false, true}) {
            for (const bool backwards : {false, true}) {
                chan<int> first, second;
                const auto idle = make_chan<int>();
                bool missed = false;
                duel(
                    at_full_speed(2000), random,
                    [&] {
                        first = make_chan<int>(1);
                        second = make_chan<int>(1);
                        first.send(1);
                        missed = false;
                    },
                    [&] {
                        if (by_close)
                            second.close();
                        else
                            second.send(1);
                        int out = 0;
                        (void)first.try_recv(out);
                    },
                    [&] {
                        const auto missed_it = [&] { missed = true; };
                        if (backwards)
                            // Some time passes between the looks at the two.
                            select(on_recv(second), on_recv(idle), on_recv(idle), on_recv(idle),
                                   on_recv(idle), on_recv(idle), on_recv(idle), on_recv(first),
                                   otherwise(missed_it));
                        else
                            select(on_recv(first), on_recv(second), otherwise(missed_it));
                    },
                    [&] { EXPECT(!missed); });
            }
        }
    });
}

TEST_CASE("L22 selects in a loop leave no memory, record or reference behind") {
    // What a process has resident says nothing where others keep it.
    const int rounds = at_full_speed(100'000);
    on_procs([&](int procs) {
        verdict v;
        long grown = 0;
        pirn::run(
            [&] {
                const auto a = make_chan<int>(), b = make_chan<int>(1);
                const auto never = make_chan<int>();
                const auto work = [&](int times) {
                    crowd all;
                    all.go([&] {
                        for (int i = 0; i < times; ++i) select(on_send(a, i), on_send(b, i));
                    });
                    for (int i = 0; i < times; ++i) {
                        if (i % 4 == 0) {
                            std::array<select_case, 3> cases{on_recv(never), on_recv(b),
                                                             on_recv(a)};
                            select(cases);
                        } else {
                            select(on_recv(b), on_recv(never), on_recv(a));
                        }
                        (void)select(on_recv(never), on_send(never, 1), otherwise());
                    }
                    all.join();
                };
                work(rounds / 10);
                const long before = resident_bytes();
                work(rounds);
                grown = resident_bytes() - before;
                for (const auto& c : {a, b, never}) {
                    EXPECT(receivers_parked(c) == 0 && senders_parked(c) == 0);
                    // This handle, and its original.
                    EXPECT(chan_access::of(c)->handles.load(std::memory_order_relaxed) == 2);
                }
            },
            {.procs = procs});
        CHECK(v.text() == "");
#if !defined(PIRN_ASAN) && !defined(PIRN_TSAN)
        CHECK(grown < 4 << 20);
#endif
    });
}

namespace {

// One value of a random program: destroyed exactly once, or the counts tell. Bytes: what it
// carries along; many make it travel in a box.
template <std::size_t Bytes>
struct parcel {
    counted life;
    std::array<char, Bytes> load{};
};

constexpr std::size_t k_channels = 3;
constexpr int k_senders = 4, k_receivers = 3;

template <class T>
struct program {
    program(verdict& verdict_, std::uint64_t seed) : v(verdict_), random(seed) {}

    // Sends numbers until there are enough or a channel is closed.
    void sending(int sender, std::uint64_t seed) {
        std::mt19937_64 dice(seed);
        const auto at = [&]() -> const chan<T>& { return c[dice() % k_channels]; };
        for (int i = 0; i < k_most; ++i) {
            T value{counted(sender * k_most + i)};
            try {
                bool sent = false;
                while (!sent) {
                    const auto yes = [&] { sent = true; };
                    switch (dice() % 4) {
                        case 0: at().send(std::move(value)), sent = true; break;
                        case 1: select(on_send(at(), std::move(value), yes), otherwise()); break;
                        case 2:
                            select(on_send(at(), std::move(value), yes),
                                   on_send(at(), std::move(value), yes), on_recv(never));
                            break;
                        default: {
                            select_case cases[] = {on_recv(never),
                                                   on_send(at(), std::move(value), yes)};
                            select(cases);
                        }
                    }
                    if (dice() % 32 == 0) pirn::yield();
                }
                ++sent_count;
            } catch (const pirn::panic&) {
                break;
            }
        }
        if (--senders_left == 0 && !closes_early) close_all();
    }

    void receiving(std::uint64_t seed) {
        std::mt19937_64 dice(seed);
        std::array<chan<T>, k_channels> open = c;
        std::size_t left = k_channels;
        const auto got = [&](chan<T>& from, std::optional<T> value) {
            if (value) {
                ++seen[static_cast<std::size_t>(value->life.value)];
                return;
            }
            from = nullptr;
            --left;
        };
        while (left > 0) {
            chan<T>&x = open[0], &y = open[1], &z = open[2];
            const auto from = [&](chan<T>& each) {
                return [&](std::optional<T> value) { got(each, std::move(value)); };
            };
            switch (dice() % 3) {
                case 0:
                    select(on_recv(x, from(x)), on_recv(y, from(y)), on_recv(z, from(z)));
                    break;
                case 1: {
                    std::optional<T> value;
                    const int i = select(on_recv(z, value), otherwise(), on_recv(x, value));
                    if (i != 1) got(i == 0 ? z : x, std::move(value));
                    break;
                }
                default: {
                    std::vector<select_case> cases;
                    for (chan<T>& each : open) cases.emplace_back(on_recv(each, from(each)));
                    cases.emplace_back(on_recv(never));
                    select(cases);
                }
            }
            if (dice() % 32 == 0) pirn::yield();
        }
    }

    void close_all() {
        for (const auto& each : c) each.close();
    }

    void run() {
        for (auto& each : c) each = make_chan<T>(random() % 4);
        closes_early = random() % 2 == 0;
        crowd all;
        std::vector<std::thread> threads;
        const auto start = [&](auto body) {
            if (random() % 4 == 0)
                threads.emplace_back(body);
            else
                all.go(body);
        };
        for (int s = 0; s < k_senders; ++s)
            start([this, s, dice = random()] { sending(s, dice); });
        for (int r = 0; r < k_receivers; ++r) start([this, dice = random()] { receiving(dice); });
        if (closes_early)
            all.go([this, yields = random() % 200] {
                for (auto n = yields; n > 0; --n) pirn::yield();
                close_all();
            });
        all.join();
        for (auto& t : threads) t.join();
        int received = 0;
        for (const auto& n : seen) {
            EXPECT(n <= 1);
            received += n;
        }
        EXPECT(received == sent_count);
        EXPECT(closes_early || received == k_senders * k_most);
        for (const auto& each : c) {
            EXPECT(each.len() == 0);
            EXPECT(receivers_parked(each) == 0 && senders_parked(each) == 0);
        }
        EXPECT(receivers_parked(never) == 0);
    }

    static constexpr int k_most = 200;
    verdict& v;
    std::mt19937_64 random;
    std::array<chan<T>, k_channels> c;
    const chan<void> never = make_chan<void>();
    bool closes_early = false;
    std::atomic<int> senders_left{k_senders}, sent_count{0};
    std::array<std::atomic<int>, k_senders * k_most> seen{};
};

}  // namespace

TEST_CASE("L12 L13 L15 L16 L18 random programs of selects over three channels") {
    const std::uint64_t s = seed("random selects");
    in_run([s](verdict& v) {
        std::mt19937_64 random(s);
        const long alive = counted::alive, values = counted::values;
        for (int round = 0; round < 10; ++round) {
            program<parcel<8>>(v, random()).run();
            program<parcel<2000>>(v, random()).run();
        }
        EXPECT(counted::alive == alive && counted::values == values);
    });
}
