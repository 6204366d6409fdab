// SPDX-License-Identifier: MIT
// wait_group: W01-W08, W10, and its destruction (Y30's rule). W09 ends the process:
// test/prog/wait_group_go_throws.cc.
#include <pirn/wait_group.h>

#include <array>
#include <climits>
#include <functional>
#include <memory>
#include <thread>
#include <type_traits>
#include <vector>

#include "runtime/sema.h"
#include "test/chan/verdict.h"
#include "test/support/place.h"

using namespace pirn::test;

TEST_CASE("W01 wait at zero returns at once") {
    in_run([](verdict& v) {
        pirn::wait_group wg;
        wg.wait();
        wg.add(0);
        wg.wait();
        wg.add(2);
        wg.add(-2);
        wg.wait();
        EXPECT(pirn::rt::sema_waiting(&wg) == 0);
    });
    // Without a runtime, too.
    pirn::wait_group wg;
    wg.wait();
    wg.add(1);
    std::thread other([&] { wg.done(); });
    wg.wait();
    other.join();
}

TEST_CASE("W02 wait returns only after all are done") {
    in_run([](verdict& v) {
        for (int round = 0; round < 50; ++round) {
            constexpr int k_things = 20;
            pirn::wait_group wg;
            wg.add(k_things);
            std::atomic<int> finished{0};
            crowd all;
            for (int i = 0; i < k_things - 1; ++i)
                all.go([&, i] {
                    if (i % 2 == 0) pirn::yield();
                    ++finished;
                    wg.done();
                });
            std::thread foreign([&] {
                ++finished;
                wg.done();
            });
            wg.wait();
            EXPECT(finished == k_things);
            all.join();
            foreign.join();
        }
        // It does block.
        pirn::wait_group wg;
        wg.add(2);
        std::atomic<bool> returned{false};
        crowd all;
        all.go([&] {
            wg.wait();
            returned = true;
        });
        UNTIL(pirn::rt::sema_waiting(&wg) == 1);
        wg.done();
        for (int i = 0; i < 100; ++i) pirn::yield();
        EXPECT(!returned && pirn::rt::sema_waiting(&wg) == 1);
        wg.done();
        all.join();
        EXPECT(returned);
    });
}

TEST_CASE("W03 many who wait are all released") {
    in_run([](verdict& v) {
        // More than are woken at once.
        constexpr int k_waiters = 100, k_threads = 3;
        pirn::wait_group wg;
        wg.add(1);
        std::atomic<int> released{0};
        const auto wait = [&] {
            wg.wait();
            ++released;
        };
        crowd all;
        for (int i = 0; i < k_waiters; ++i) all.go(wait);
        std::vector<std::thread> threads;
        for (int i = 0; i < k_threads; ++i) threads.emplace_back(wait);
        UNTIL(pirn::rt::sema_waiting(&wg) == k_waiters + k_threads);
        EXPECT(released == 0);
        wg.done();
        all.join();
        for (auto& t : threads) t.join();
        EXPECT(released == k_waiters + k_threads);
    });
}

TEST_CASE("W04 a negative counter panics") {
    in_run([](verdict& v) {
        const std::string text = "sync: negative WaitGroup counter";
        pirn::wait_group wg;
        EXPECT(panic_of([&] { wg.done(); }) == text);
        wg.add(1);
        EXPECT(panic_of([&] { wg.add(-2); }) == text);
        EXPECT(panic_of([&] { wg.add(INT_MAX); }) == text);
        // The counter is as it was: with someone who waits, too.
        crowd all;
        all.go([&] { wg.wait(); });
        UNTIL(pirn::rt::sema_waiting(&wg) == 1);
        EXPECT(panic_of([&] { wg.add(-2); }) == text);
        EXPECT(pirn::rt::sema_waiting(&wg) == 1);
        wg.done();
        all.join();
        EXPECT(panic_of([&] { wg.done(); }) == text);
        wg.wait();
    });
}

TEST_CASE("W05 add and wait racing from zero: wait returns or waits, or the misuse is reported") {
    const std::uint64_t random = seed("W05");
    in_run([random](verdict& v) {
        const std::string reused = "sync: WaitGroup is reused before previous Wait has returned";
        std::unique_ptr<pirn::wait_group> wg;
        std::string text;
        duel(
            5000, random, [&] { wg = std::make_unique<pirn::wait_group>(); },
            [&] {
                wg->add(1);
                wg->done();
                wg->add(1);
                wg->done();
            },
            [&] { text = panic_of([&] { wg->wait(); }); },
            [&] {
                EXPECT(text == "none" || text == reused);
                EXPECT(pirn::rt::sema_waiting(wg.get()) == 0);
            });
    });
}

TEST_CASE("W06 reuse after wait has returned works, before that it panics") {
    in_run([](verdict& v) {
        pirn::wait_group wg;
        for (int round = 0; round < 100; ++round) {
            int plain = 0;
            wg.go([&] { plain = round; });
            wg.wait();
            EXPECT(plain == round);
        }
    });
    // On one P the one that is released has not run yet when the group is used again.
    verdict v;
    pirn::run(
        [&] {
            pirn::wait_group wg;
            wg.add(1);
            std::string text;
            crowd all;
            all.go([&] { text = panic_of([&] { wg.wait(); }); });
            UNTIL(pirn::rt::sema_waiting(&wg) == 1);
            wg.done();
            wg.add(1);
            all.join();
            EXPECT(text == "sync: WaitGroup is reused before previous Wait has returned");
            wg.done();
        },
        {.procs = 1});
    REQUIRE(v.text() == "");
}

TEST_CASE("W07 done happens before the return of wait") {
    const std::uint64_t random = seed("W07");
    in_run([random](verdict& v) {
        pirn::wait_group wg;
        std::array<int, 2> plain{};
        bool seen = false;
        duel(
            5000, random,
            [&] {
                wg.add(2);
                plain = {};
            },
            [&] {
                plain[0] = 1;
                wg.done();
                wg.wait();
                seen = plain[0] == 1 && plain[1] == 1;
            },
            [&] {
                plain[1] = 1;
                wg.done();
            },
            [&] { EXPECT(std::exchange(seen, false)); });
    });
}

TEST_CASE("W08 go counts before it starts, and may be nested while the counter is not zero") {
    in_run([](verdict& v) {
        pirn::wait_group wg;
        std::atomic<int> ran{0};
        std::function<void(int)> tree = [&](int depth) {
            ++ran;
            if (depth == 0) return;
            for (int i = 0; i < 3; ++i) wg.go([&tree, depth] { tree(depth - 1); });
        };
        wg.go([&] { tree(4); });
        wg.wait();
        EXPECT(ran == 1 + 3 + 9 + 27 + 81);

        // What f captured is destroyed before it counts as done; f may be move-only.
        for (int round = 0; round < 50; ++round) {
            wg.go([c = counted(round), p = std::make_unique<int>(round)] { (void)*p; });
            wg.wait();
            EXPECT(counted::values == 0);
        }
    });
    // Outside any runtime there is no goroutine to count.
    pirn::wait_group wg;
    REQUIRE(panic_of([&] { wg.go([] {}); }) != "none");
    wg.wait();
}

TEST_CASE("W10 goexit counts as done") {
    in_run([](verdict& v) {
        pirn::wait_group wg;
        std::atomic<int> after{0};
        for (int i = 0; i < 20; ++i)
            wg.go([&] {
                pirn::yield();
                pirn::goexit();
                ++after;
            });
        wg.wait();
        EXPECT(after == 0);
    });
}

TEST_CASE("a wait_group may be destroyed while others are still inside done") {
    static_assert(!std::is_copy_constructible_v<pirn::wait_group>);
    static_assert(!std::is_move_constructible_v<pirn::wait_group>);
    static_assert(sizeof(pirn::wait_group) == 8);
    const std::uint64_t random = seed("wait_group destruction");
    in_run([random](verdict& v) {
        place<pirn::wait_group> here;
        pirn::wait_group* wg = nullptr;
        duel(
            8000, random,
            [&] {
                wg = here.make();
                wg->add(1);
            },
            [&] {
                wg->wait();
                here.destroy(wg);
            },
            [&] { wg->done(); },
            [&] { EXPECT(here.untouched()); });
        // The next object at the address has waiters of its own, which are not woken by the last
        // one's done().
        for (int round = 0; round < 500; ++round) {
            crowd all;
            std::atomic<int> finished{0};
            {
                pirn::wait_group first;
                first.add(1);
                all.go([&] { first.done(); });
                first.wait();
            }
            {
                pirn::wait_group second;
                second.add(2);
                for (int i = 0; i < 2; ++i)
                    all.go([&] {
                        pirn::yield();
                        ++finished;
                        second.done();
                    });
                second.wait();
                EXPECT(finished == 2);
                all.join();
            }
        }
    });
}

TEST_CASE("a wait_group outlives a run whose goroutines wait for it") {
    on_procs([](int procs) {
        pirn::wait_group wg;
        wg.add(1);
        pirn::run(
            [&] {
                for (int i = 0; i < 5; ++i) pirn::go([&] { wg.wait(); });
                UNTIL(pirn::rt::sema_waiting(&wg) == 5);
            },
            {.procs = procs});
        REQUIRE(pirn::rt::sema_waiting(&wg) == 0);
        wg.done();
        wg.wait();
    });
}
