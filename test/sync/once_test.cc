// SPDX-License-Identifier: MIT
// once, once_func, once_value: Y20, Y21, Y23, Y24. Y22 ends the process:
// test/prog/once_recursive.cc.
#include <pirn/once.h>

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "runtime/sema.h"
#include "test/chan/verdict.h"
#include "test/support/place.h"

using namespace pirn::test;

namespace {

constinit pirn::once global;
static_assert(sizeof(pirn::once) <= 12);
static_assert(!std::is_copy_constructible_v<pirn::once>);

// The address of what f throws, as a std::runtime_error.
template <class F>
const std::runtime_error* thrown_by(F&& f) {
    try {
        f();
    } catch (const std::runtime_error& e) {
        return &e;
    }
    return nullptr;
}

}  // namespace

TEST_CASE("Y20 once runs one function, and the others wait for it") {
    in_run([](verdict& v) {
        for (int round = 0; round < 50; ++round) {
            pirn::once o;
            std::atomic<int> ran{0};
            std::atomic<bool> may_end{false};
            std::atomic<int> returned{0};
            EXPECT(!o.done());
            const auto call = [&] {
                o.call([&] {
                    ++ran;
                    UNTIL(may_end.load());
                });
                EXPECT(may_end && o.done());
                ++returned;
            };
            crowd all;
            for (int i = 0; i < 10; ++i) all.go(call);
            std::vector<std::thread> threads;
            if (round < 10)
                for (int i = 0; i < 2; ++i) threads.emplace_back(call);
            UNTIL(pirn::rt::sema_waiting(&o) == 9 + threads.size());
            EXPECT(returned == 0);
            may_end = true;
            all.join();
            for (auto& t : threads) t.join();
            EXPECT(ran == 1 && returned == 10 + static_cast<int>(threads.size()));
            EXPECT(pirn::rt::sema_waiting(&o) == 0);
        }
    });
    // A thread that comes while another one's function runs, without a runtime too.
    int ran = 0;
    for (int i = 0; i < 3; ++i) global.call([&] { ++ran; });
    REQUIRE(ran == 1);
}

TEST_CASE("Y21 a function that throws, or calls goexit, counts as done") {
    in_run([](verdict& v) {
        pirn::once threw;
        int ran = 0;
        EXPECT(thrown_by([&] {
            threw.call([&] {
                ++ran;
                throw std::runtime_error("once");
            });
        }) != nullptr);
        threw.call([&] { ++ran; });
        EXPECT(ran == 1 && threw.done());

        // Those who wait are released, and see none of it.
        for (const bool exits : {false, true}) {
            pirn::once o;
            std::atomic<int> after{0}, others{0};
            std::atomic<bool> began{false}, left{false};
            const auto f = [&] {
                began = true;
                UNTIL(pirn::rt::sema_waiting(&o) == 3);
                if (exits) pirn::goexit();
                throw std::runtime_error("once");
            };
            pirn::go([&] {
                pirn::defer mark([&] { left = true; });
                EXPECT(thrown_by([&] { o.call(f); }) != nullptr);
                ++after;
            });
            UNTIL(began.load());
            crowd all;
            for (int i = 0; i < 3; ++i)
                all.go([&] {
                    o.call([] {});
                    ++others;
                });
            all.join();
            UNTIL(left.load());
            EXPECT(others == 3 && after == (exits ? 0 : 1) && o.done());
        }
    });
}

TEST_CASE("Y24 the function's return happens before every call's return") {
    const std::uint64_t random = seed("Y24");
    in_run([random](verdict& v) {
        place<pirn::once> here;
        pirn::once* o = nullptr;
        int plain = 0, left = 0, right = 0;
        duel(
            5000, random,
            [&] {
                o = here.make();
                plain = 0;
            },
            [&] {
                o->call([&] { plain = 1; });
                left = plain;
            },
            [&] {
                o->call([&] { plain = 1; });
                right = plain;
            },
            [&] { EXPECT(left == 1 && right == 1); });
    });
}

TEST_CASE("a once may be destroyed as soon as a call has returned") {
    const std::uint64_t random = seed("once destruction");
    in_run([random](verdict& v) {
        place<pirn::once> here;
        pirn::once* o = nullptr;
        std::atomic<bool> began{false};
        duel(
            5000, random,
            [&] {
                began = false;
                o = here.make();
            },
            [&] {
                UNTIL(began.load());
                o->call([] {});
                here.destroy(o);
            },
            [&] { o->call([&] { began = true; }); },
            [&] { EXPECT(here.untouched()); });
    });
}

TEST_CASE("Y23 once_func and once_value give the same each time") {
    in_run([](verdict& v) {
        int ran = 0;
        auto captured = std::make_shared<int>(7);
        const auto value = pirn::once_value([&ran, captured] {
            ++ran;
            return std::make_unique<int>(*captured);
        });
        static_assert(
            std::is_same_v<decltype(value()), const std::unique_ptr<int>&>);
        const auto copy = value;
        EXPECT(*value() == 7 && &value() == &copy() && ran == 1);
        // What the function held on to is gone.
        EXPECT(captured.use_count() == 1);

        int target = 0;
        const auto reference = pirn::once_value([&]() -> int& { return target; });
        reference() = 5;
        EXPECT(target == 5);
        static_assert(std::is_same_v<decltype(reference()), int&>);

        int calls = 0;
        const auto nothing = pirn::once_func([&] { ++calls; });
        nothing();
        nothing();
        EXPECT(calls == 1);

        // The same exception, not one like it.
        calls = 0;
        const auto throws = pirn::once_func([&] {
            ++calls;
            throw std::runtime_error("the same");
        });
        const auto* first = thrown_by(throws);
        EXPECT(first != nullptr && thrown_by(throws) == first && calls == 1);
        const auto value_throws = pirn::once_value([]() -> int { throw std::runtime_error("v"); });
        first = thrown_by(value_throws);
        EXPECT(first != nullptr && thrown_by(value_throws) == first);
        crowd all;
        std::atomic<int> same{0};
        for (int i = 0; i < 10; ++i)
            all.go([&] { same += thrown_by(value_throws) == first; });
        all.join();
        EXPECT(same == 10);

        // goexit leaves the first caller; what is there for others is an error.
        const auto exits = pirn::once_value([]() -> int { pirn::goexit(); });
        std::atomic<bool> left{false};
        pirn::go([&] {
            pirn::defer mark([&] { left = true; });
            exits();
        });
        UNTIL(left.load());
        EXPECT(panic_of([&] { exits(); }) == "sync: the function of a once_func called goexit");
        const std::function<void()> held = nothing;
        held();
    });
}

TEST_CASE("Y23 once_value under contention") {
    in_run([](verdict& v) {
        for (int round = 0; round < 200; ++round) {
            std::atomic<int> ran{0};
            const auto value = pirn::once_value([&] {
                pirn::yield();
                return ++ran;
            });
            crowd all;
            for (int i = 0; i < 6; ++i) all.go([&, value] { EXPECT(value() == 1); });
            std::thread thread;
            if (round < 20) thread = std::thread([&] { EXPECT(value() == 1); });
            all.join();
            if (thread.joinable()) thread.join();
            EXPECT(ran == 1);
        }
    });
}
