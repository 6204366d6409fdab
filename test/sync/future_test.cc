// SPDX-License-Identifier: MIT
// future and async: results of every kind, exceptions, waiting with and without a deadline.
#include <pirn/future.h>

#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>

#include "test/chan/verdict.h"

using namespace pirn::test;
using namespace std::chrono_literals;

namespace {

// The code of the std::future_error that f throws; nothing if it throws none.
template <class F>
std::optional<std::error_code> future_error_of(F&& f) {
    try {
        f();
    } catch (const std::future_error& e) {
        return e.code();
    }
    return std::nullopt;
}

static_assert(!std::is_copy_constructible_v<pirn::future<int>>);
static_assert(std::is_nothrow_move_constructible_v<pirn::future<int>>);

}  // namespace

TEST_CASE("async gives what its function returns") {
    in_run([](verdict& v) {
        EXPECT(pirn::async([] { return 42; }).get() == 42);
        EXPECT(pirn::async([](int a, std::string b) { return b + std::to_string(a); }, 1, "x")
                   .get() == "x1");
        // Move-only: the function, an argument, the result.
        auto p = std::make_unique<int>(5);
        auto moved = pirn::async([q = std::make_unique<int>(6)](std::unique_ptr<int> r) {
            *r += *q;
            return r;
        }, std::move(p));
        EXPECT(*moved.get() == 11);
        // A reference, and nothing.
        int target = 0;
        pirn::future<int&> reference = pirn::async([&]() -> int& { return target; });
        EXPECT(&reference.get() == &target);
        pirn::future<void> nothing = pirn::async([&] { target = 3; });
        nothing.get();
        EXPECT(target == 3);
        EXPECT(*pirn::async([]() -> const std::string { return "const"; }).get().data() == 'c');
    });
    REQUIRE(panic_of([] { (void)pirn::async([] { return 1; }); }) != "none");
}

TEST_CASE("a future is valid until get") {
    in_run([](verdict& v) {
        const auto no_state = std::make_error_code(std::future_errc::no_state);
        pirn::future<int> f;
        EXPECT(!f.valid());
        EXPECT(future_error_of([&] { f.get(); }) == no_state);
        EXPECT(future_error_of([&] { f.wait(); }) == no_state);
        EXPECT(future_error_of([&] { (void)f.wait_for(1s); }) == no_state);
        f = pirn::async([] { return 1; });
        EXPECT(f.valid());
        f.wait();
        f.wait();
        EXPECT(f.valid());
        pirn::future<int> g = std::move(f);
        EXPECT(!f.valid() && g.valid());
        EXPECT(g.get() == 1);
        EXPECT(!g.valid());
        EXPECT(future_error_of([&] { g.get(); }) == no_state);
    });
}

TEST_CASE("get throws what the function threw") {
    in_run([](verdict& v) {
        auto f = pirn::async([]() -> int { throw std::runtime_error("from async"); });
        f.wait();
        std::string text;
        try {
            f.get();
        } catch (const std::runtime_error& e) {
            text = e.what();
        }
        EXPECT(text == "from async" && !f.valid());
        // Nobody asks: nothing happens.
        (void)pirn::async([] { throw 1; });
        // Nothing was promised.
        auto g = pirn::async([]() -> int { pirn::goexit(); });
        EXPECT(future_error_of([&] { g.get(); }) ==
               std::make_error_code(std::future_errc::broken_promise));
    });
}

TEST_CASE("what the function captured is gone when its result is there") {
    in_run([](verdict& v) {
        for (int round = 0; round < 100; ++round) {
            pirn::async([c = counted(round)] { pirn::yield(); }).get();
            EXPECT(counted::values == 0);
            // The result is moved out, and no other stays behind.
            EXPECT(pirn::async([round] { return counted(round); }).get().value == round);
            EXPECT(counted::values == 0);
            // A future that is dropped before and after.
            std::atomic<bool> done{false};
            {
                const auto dropped = pirn::async([&] {
                    const pirn::defer mark([&] { done = true; });
                    pirn::yield();
                    return counted(1);
                });
            }
            UNTIL(done && counted::values == 0);
        }
    });
}

TEST_CASE("waiting blocks until the result is there, from goroutines and threads") {
    in_run([](verdict& v) {
        for (int round = 0; round < 100; ++round) {
            std::atomic<bool> may_end{false};
            int plain = 0;
            auto f = pirn::async([&] {
                UNTIL(may_end.load());
                plain = 1;
                return 7;
            });
            std::atomic<int> waited{0};
            crowd all;
            for (int i = 0; i < 3; ++i)
                all.go([&] {
                    f.wait();
                    EXPECT(plain == 1);
                    ++waited;
                });
            std::thread thread([&] {
                f.wait();
                EXPECT(plain == 1);
            });
            for (int i = 0; i < 10; ++i) pirn::yield();
            EXPECT(waited == 0);
            may_end = true;
            all.join();
            thread.join();
            EXPECT(waited == 3);
            int got = 0;
            std::thread([&] { got = f.get(); }).join();
            EXPECT(got == 7);
        }
    });
}

TEST_CASE("waiting for a result has a deadline") {
    in_run([](verdict& v) {
        std::atomic<bool> may_end{false};
        auto f = pirn::async([&] {
            UNTIL(may_end.load());
            return 7;
        });
        const auto begin = pirn::clock::now();
        EXPECT(f.wait_for(2ms) == std::future_status::timeout);
        EXPECT(pirn::clock::now() - begin >= 2ms);
        EXPECT(f.wait_for(0s) == std::future_status::timeout);
        EXPECT(f.wait_for(-1s) == std::future_status::timeout);
        EXPECT(f.wait_until(pirn::clock::now() + 1ms) == std::future_status::timeout);
        const auto wall = std::chrono::system_clock::now();
        EXPECT(f.wait_until(wall + 1ms) == std::future_status::timeout);
        EXPECT(std::chrono::system_clock::now() >= wall + 1ms);
        std::thread([&] {
            EXPECT(f.wait_for(2ms) == std::future_status::timeout);
        }).join();
        may_end = true;
        EXPECT(f.wait_for(std::chrono::hours(1)) == std::future_status::ready);
        EXPECT(f.wait_for(std::chrono::nanoseconds::max()) == std::future_status::ready);
        EXPECT(f.wait_until(pirn::clock::now() - 1s) == std::future_status::ready);
        EXPECT(f.valid() && f.get() == 7);
        // Without end, woken from a thread's deadline that never comes.
        auto g = pirn::async([] { pirn::yield(); });
        std::thread thread([&] {
            EXPECT(g.wait_for(std::chrono::nanoseconds::max()) == std::future_status::ready);
        });
        pirn::blocking([&] { thread.join(); });
    });
}

TEST_CASE("a deadline that passes when the result comes") {
    const std::uint64_t random = seed("future deadline");
    in_run([random](verdict& v) {
        std::minstd_rand r(static_cast<unsigned>(random));
        for (int round = 0; round < at_full_speed(400); ++round) {
            const auto late = std::chrono::microseconds(r() % 100);
            auto f = pirn::async([late] {
                pirn::sleep_for(late);
                return 1;
            });
            crowd all;
            for (int i = 0; i < 3; ++i)
                all.go([&f, d = std::chrono::microseconds(r() % 100)] { (void)f.wait_for(d); });
            all.join();
            EXPECT(f.get() == 1);
        }
    });
}

TEST_CASE("get right when the result comes") {
    const std::uint64_t random = seed("future");
    in_run([random](verdict& v) {
        pirn::detail::future_core* core = nullptr;
        int plain = 0;
        bool seen = false;
        duel(
            5000, random,
            [&] {
                core = new pirn::detail::future_core;
                core->refs.retain();
                plain = 0;
            },
            [&] {
                core->wait();
                seen = plain == 1;
                if (core->refs.release()) delete core;
            },
            [&] {
                plain = 1;
                core->complete();
                if (core->refs.release()) delete core;
            },
            [&] { EXPECT(std::exchange(seen, false)); });
    });
}
