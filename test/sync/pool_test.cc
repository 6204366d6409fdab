// SPDX-License-Identifier: MIT
// pool: Y25, Y26, Y27, and that values grow old.
#include <pirn/pool.h>

#include <array>
#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "runtime/aging.h"
#include "runtime/base/clock.h"
#include "test/chan/verdict.h"

using namespace pirn::test;

namespace {

constinit pirn::pool<int*> global;

std::atomic<std::int64_t> fake_ns{0};
std::int64_t read_fake() { return fake_ns.load(); }

// What is in a pool whose new values are null.
template <class T>
std::vector<T> drain(pirn::pool<T>& p) {
    std::vector<T> all;
    while (T value = p.get()) all.push_back(std::move(value));
    return all;
}

}  // namespace

TEST_CASE("Y25 get returns a value that was put, or a new one") {
    in_run([](verdict& v) {
        int a = 0, b = 0;
        EXPECT(global.get() == nullptr);
        global.put(&a);
        global.put(&b);
        std::set<int*> got;
        for (int* p : drain(global)) got.insert(p);
        EXPECT((got == std::set<int*>{&a, &b}));

        std::atomic<int> made{0};
        pirn::pool<std::unique_ptr<std::string>> p(
            [&] { return std::make_unique<std::string>("made " + std::to_string(++made)); });
        EXPECT(*p.get() == "made 1");
        p.put(std::make_unique<std::string>("put"));
        EXPECT(*p.get() == "put");
        EXPECT(*p.get() == "made 2");
        pirn::pool<std::vector<int>> empty;
        EXPECT(empty.get().empty());
    });
    // Without a runtime.
    int a = 0;
    pirn::pool<int*> p;
    p.put(&a);
    REQUIRE(p.get() == &a);
    REQUIRE(p.get() == nullptr);
}

TEST_CASE("values that are left in a pool are destroyed with it") {
    in_run([](verdict& v) {
        {
            pirn::pool<counted> p([] { return counted(-5); });
            for (int i = 0; i < 100; ++i) p.put(counted(i));
            std::thread([&] {
                for (int i = 0; i < 100; ++i) p.put(counted(i));
            }).join();
            EXPECT(counted::values == 200);
            for (int i = 0; i < 50; ++i) EXPECT(p.get().value >= 0);
            EXPECT(counted::values == 150);
        }
        EXPECT(counted::alive == 0 && counted::values == 0);
    });
}

TEST_CASE("Y26 a value is never there twice") {
    const std::uint64_t random = seed("Y26");
    in_run([random](verdict& v) {
        // Go's TestPoolStress, and its values know whether they are in use.
        struct object {
            std::atomic<bool> used{true};
        };
        pirn::pool<std::shared_ptr<object>> p([] { return std::make_shared<object>(); });
        const auto work = [&](std::uint64_t own) {
            std::minstd_rand r(static_cast<unsigned>(own));
            std::vector<std::shared_ptr<object>> held;
            const int rounds = at_full_speed(20000);
            for (int i = 0; i < rounds; ++i) {
                if (r() % 2 == 0 || held.empty()) {
                    auto o = p.get();
                    if (o.use_count() == 1)
                        o->used.exchange(true);
                    else
                        EXPECT(false);
                    held.push_back(std::move(o));
                } else {
                    EXPECT(held.back()->used.exchange(false));
                    p.put(std::move(held.back()));
                    held.pop_back();
                }
                if (r() % 64 == 0) pirn::yield();
                if (held.size() > 20) {
                    for (auto& o : held) p.put(std::move(o));
                    held.clear();
                }
            }
        };
        crowd all;
        for (int g = 0; g < 6; ++g) all.go([&, g] { work(random + static_cast<unsigned>(g)); });
        std::thread thread([&] { work(random ^ 77); });
        all.join();
        thread.join();
    });
}

TEST_CASE("Y27 what one P has put another one gets") {
    on_procs([](int procs) {
        verdict v;
        pirn::run(
            [&] {
                pirn::pool<int*> p;
                std::vector<int> values(100);
                // Put by goroutines wherever they run, and by a thread.
                crowd all;
                for (int i = 0; i < 99; ++i)
                    all.go([&, i] {
                        pirn::yield();
                        p.put(&values[static_cast<std::size_t>(i)]);
                    });
                all.join();
                std::thread([&] { p.put(&values[99]); }).join();
                // One caller gets all but what Ps keep for themselves.
                const std::vector<int*> got = drain(p);
                const std::set<int*> distinct(got.begin(), got.end());
                EXPECT(distinct.size() == got.size());
                EXPECT(got.size() >= 100 - static_cast<std::size_t>(procs) + 1);
            },
            {.procs = procs});
        REQUIRE(v.text() == "");
    });
}

TEST_CASE("values that nobody wants grow old and vanish") {
    // Without a run: its sysmon would look at the clock, too, and its timers would be misled.
    verdict v;
    {
        fake_ns = 1'000'000'000;
        pirn::pool<std::shared_ptr<int>> p;
        std::vector<std::weak_ptr<int>> watched;
        // On a thread without a P each call looks at the clock.
        pirn::base::set_fake_clock(read_fake);
        std::thread([&] {
            const auto put = [&](int n) {
                for (int i = 0; i < n; ++i) {
                    auto value = std::make_shared<int>(i);
                    watched.push_back(value);
                    p.put(std::move(value));
                }
            };
            const auto alive = [&] {
                std::size_t n = 0;
                for (auto& w : watched) n += !w.expired();
                return n;
            };
            put(10);
            EXPECT(alive() == 10);
            fake_ns += 1'000'000'001;
            put(1);
            // Old, and still to be had, once the new ones are gone.
            EXPECT(alive() == 11);
            EXPECT(p.get() != nullptr && p.get() != nullptr);
            EXPECT(alive() == 9);
            fake_ns += 1'000'000'001;
            put(1);
            EXPECT(alive() <= 2);
            // What is used does not grow old.
            for (int i = 0; i < 10; ++i) {
                fake_ns += 1'000'000'001;
                auto value = p.get();
                EXPECT(value != nullptr);
                p.put(std::move(value));
            }
        }).join();
        pirn::base::set_fake_clock(nullptr);
    }
    REQUIRE(v.text() == "");
}

TEST_CASE("values of a pool that is not used any more are given back") {
    const std::int64_t age_ns = pirn::rt::age_ns();
    pirn::rt::set_age_ns(2'000'000);
    in_run([](verdict& v) {
        pirn::pool<std::shared_ptr<int>> p;
        std::vector<std::weak_ptr<int>> watched;
        const auto alive = [&] {
            std::size_t n = 0;
            for (auto& w : watched) n += !w.expired();
            return n;
        };
        for (int round = 0; round < 3; ++round) {
            watched.clear();
            for (int i = 0; i < 5; ++i) {
                auto value = std::make_shared<int>(i);
                watched.push_back(value);
                p.put(std::move(value));
            }
            EXPECT(alive() == 5);
            // Nobody calls the pool; where this one sleeps its P is idle, and gives back the last.
            for (int looks = 0; looks < 4000 && alive() != 0; ++looks)
                pirn::sleep_for(std::chrono::milliseconds(5));
            EXPECT(alive() == 0);
            EXPECT(p.get() == nullptr);
        }
        // One that goes away meanwhile takes its values along.
        for (int round = 0; round < 20; ++round) {
            pirn::pool<std::shared_ptr<int>> short_lived;
            std::weak_ptr<int> seen;
            for (int i = 0; i < 5; ++i) {
                auto value = std::make_shared<int>(i);
                seen = value;
                short_lived.put(std::move(value));
            }
            pirn::sleep_for(std::chrono::microseconds(round * 300));
        }
    });
    pirn::rt::set_age_ns(age_ns);
}
