// SPDX-License-Identifier: MIT
// error_group: W11, after x/sync's errgroup tests.
#include <pirn/error_group.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "runtime/sema.h"
#include "test/chan/verdict.h"

using namespace pirn::test;

namespace {

const std::error_code k_first = std::make_error_code(std::errc::no_such_device);
const std::error_code k_second = std::make_error_code(std::errc::broken_pipe);

// Records what its hook is told.
struct hooked : pirn::error_group {
    hooked()
        : error_group([this](std::error_code e, const std::exception_ptr& thrown) {
              codes.push_back(e);
              threw = threw || thrown != nullptr;
          }) {}
    std::vector<std::error_code> codes;
    bool threw = false;
};

}  // namespace

TEST_CASE("W11 an error group returns the first error") {
    in_run([](verdict& v) {
        pirn::error_group none;
        EXPECT(!none.wait());
        for (int i = 0; i < 10; ++i) none.go([] {});
        none.go([] { return std::error_code(); });
        EXPECT(!none.wait());

        for (int round = 0; round < 50; ++round) {
            pirn::error_group g;
            g.go([&] { return k_first; });
            UNTIL(pirn::num_goroutine() == 1);
            for (int i = 0; i < 5; ++i) {
                g.go([&] {
                    pirn::yield();
                    return k_second;
                });
                g.go([] { return std::error_code(); });
            }
            EXPECT(g.wait() == k_first);
            // It stays, as Go's does.
            g.go([] {});
            EXPECT(g.wait() == k_first);
        }
    });
}

TEST_CASE("W11 a first failure that is an exception is thrown by wait") {
    in_run([](verdict& v) {
        for (int round = 0; round < 50; ++round) {
            pirn::error_group g;
            std::atomic<int> ended{0};
            g.go([&, c = counted(1)] { throw std::runtime_error("part"); });
            UNTIL(counted::alive == 0);
            UNTIL(pirn::num_goroutine() == 1);
            for (int i = 0; i < 4; ++i)
                g.go([&] {
                    pirn::yield();
                    ++ended;
                    return k_second;
                });
            for (int time = 0; time < 2; ++time) {
                std::string text;
                try {
                    g.wait();
                } catch (const std::runtime_error& e) {
                    text = e.what();
                }
                EXPECT(text == "part" && ended == 4);
            }
            // The other way round.
            pirn::error_group h;
            h.go([] { return k_first; });
            UNTIL(pirn::num_goroutine() == 1);
            h.go([] { throw 1; });
            EXPECT(h.wait() == k_first);
        }
        // goexit ends a part without a failure.
        pirn::error_group g;
        g.go([] { pirn::goexit(); });
        EXPECT(!g.wait());
    });
}

TEST_CASE("W11 an error group tells who cancels") {
    in_run([](verdict& v) {
        hooked g;
        for (int i = 0; i < 5; ++i) g.go([] { return k_first; });
        EXPECT(g.wait() == k_first);
        // At the first failure, and at the end.
        EXPECT((g.codes == std::vector{k_first, k_first} && !g.threw));

        hooked fine;
        fine.go([] {});
        EXPECT(!fine.wait());
        EXPECT((fine.codes == std::vector{std::error_code()} && !fine.threw));

        hooked throws;
        throws.go([] { throw 1; });
        bool threw = false;
        try {
            throws.wait();
        } catch (int) {
            threw = true;
        }
        EXPECT(threw && throws.threw && throws.codes.size() == 2);
    });
}

TEST_CASE("W11 an error group respects its limit") {
    in_run([](verdict& v) {
        // Go's TestGoLimit.
        for (const int limit : {1, 2, 5}) {
            pirn::error_group g;
            g.set_limit(limit);
            std::atomic<int> active{0}, most{0}, ran{0};
            for (int i = 0; i < 200; ++i)
                g.go([&] {
                    const int now = ++active;
                    int seen = most;
                    while (now > seen && !most.compare_exchange_weak(seen, now)) {
                    }
                    if (now % 2 == 1) pirn::yield();
                    --active;
                    ++ran;
                });
            EXPECT(!g.wait());
            EXPECT(most <= limit && ran == 200);
        }
        // Several who wait for a slot, threads too; each gets one.
        pirn::error_group g;
        g.set_limit(2);
        std::atomic<bool> may_end{false};
        std::atomic<int> ran{0};
        const auto start = [&] {
            g.go([&] {
                UNTIL(may_end.load());
                ++ran;
            });
        };
        start();
        start();
        EXPECT(!g.try_go([] {}));
        crowd all;
        for (int i = 0; i < 10; ++i) all.go(start);
        std::thread thread(start);
        for (int i = 0; i < 50; ++i) pirn::yield();
        EXPECT(panic_of([&] { g.set_limit(3); }) ==
               "errgroup: modify limit while 2 goroutines in the group are still active");
        may_end = true;
        all.join();
        // Its part may still have to wait for others.
        pirn::blocking([&] { thread.join(); });
        EXPECT(!g.wait());
        EXPECT(ran == 13);
    });
}

TEST_CASE("W11 try_go starts what the limit leaves room for") {
    in_run([](verdict& v) {
        // Go's TestTryGo.
        pirn::error_group g;
        constexpr int n = 42;
        std::atomic<bool> may_end{false};
        std::atomic<int> ran{0};
        g.set_limit(n);
        for (int i = 0; i < n; ++i)
            EXPECT(g.try_go([&] {
                UNTIL(may_end.load());
                ++ran;
            }));
        EXPECT(!g.try_go([&] { ++ran; }));
        may_end = true;
        EXPECT(!g.wait());
        EXPECT(ran == n);

        g.set_limit(1);
        EXPECT(g.try_go([&] { ++ran; }));
        EXPECT(!g.wait());
        EXPECT(ran == n + 1);

        g.set_limit(0);
        EXPECT(!g.try_go([] {}));
        g.set_limit(-1);
        for (int i = 0; i < 10; ++i) EXPECT(g.try_go([] {}));
        EXPECT(!g.wait());
    });
    // A part that cannot be started counts for nothing.
    pirn::error_group g;
    g.set_limit(1);
    for (int i = 0; i < 2; ++i) REQUIRE(panic_of([&] { g.go([] {}); }) != "none");
    REQUIRE(!g.wait());
}

TEST_CASE("an error group may be destroyed when wait has returned") {
    in_run([](verdict& v) {
        for (int round = 0; round < 500; ++round) {
            auto g = std::make_unique<pirn::error_group>();
            g->set_limit(2);
            for (int i = 0; i < 4; ++i) g->go([] { return k_first; });
            EXPECT(g->wait() == k_first);
            g.reset();
        }
    });
}
