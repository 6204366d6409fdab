// SPDX-License-Identifier: MIT
// select: what becomes of values, handles and channels, of the cases that lose, and of those that
// throw: L13-L15, L20, L23.
#include <array>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <pirn/select.h>

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

TEST_CASE("values whose moves throw are not lost in a select") {
    in_run([](verdict& v) {
        const auto c = make_chan<brittle>(2), never = make_chan<brittle>();
        const auto throws = [](auto f) {
            brittle::armed = true;
            bool threw = false;
            try {
                f();
            } catch (const std::runtime_error&) {
                threw = true;
            }
            brittle::armed = false;
            return threw;
        };
        c.send(brittle(1));
        c.send(brittle(2));
        std::optional<brittle> out;
        EXPECT(throws([&] { select(on_recv(never), on_recv(c, out)); }));
        EXPECT(!out.has_value());
        EXPECT(throws([&] { select(on_recv(c, [](std::optional<brittle>) { std::abort(); })); }));
        EXPECT(select(on_recv(never), on_recv(c, out)) == 1);
        EXPECT(out->value == 1);
        EXPECT(select(on_recv(c)) == 0);
        EXPECT(c.len() == 0);
        // The sender's stays with the sender, and its receiver goes on to the next.
        brittle kept(3);
        EXPECT(throws([&] { select(on_send(c, std::move(kept)), on_recv(never)); }));
        EXPECT(kept.value == 3);
        EXPECT(select(on_recv(c), otherwise()) == 1);
        // Both parked, in boxes.
        for (int i = 0; i < 50; ++i) {
            crowd all;
            all.go([&] {
                brittle value(i);
                EXPECT(select(on_send(never, std::move(value)), on_recv(c)) == 0);
                EXPECT(value.value == -1);
            });
            UNTIL(senders_parked(never) == 1);
            EXPECT(select(on_recv(c), on_recv(never, out)) == 1);
            EXPECT(out->value == i);
            all.join();
            all.go([&] { EXPECT(select(on_recv(never, out), on_recv(c)) == 0); });
            UNTIL(receivers_parked(never) == 1);
            EXPECT(select(on_send(never, brittle(i + 1))) == 0);
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
        cases.emplace_back(on_send(never, brittle(5)));
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
