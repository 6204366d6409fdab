// SPDX-License-Identifier: MIT
// recursive_mutex: its owner is a goroutine, or a thread where none runs.
#include <pirn/recursive_mutex.h>

#include <chrono>
#include <mutex>
#include <thread>

#include "test/chan/verdict.h"

using namespace pirn::test;
using namespace std::chrono_literals;

TEST_CASE("a recursive_mutex is free when it was unlocked as often as it was locked") {
    static_assert(!std::is_copy_constructible_v<pirn::recursive_mutex>);
    static constinit pirn::recursive_mutex m;
    const auto others_fail = [](verdict& v) {
        crowd all;
        all.go([&] {
            EXPECT(!m.try_lock());
            EXPECT(!m.try_lock_for(1ms));
        });
        all.join();
        std::thread([&] {
            EXPECT(!m.try_lock());
            EXPECT(!m.try_lock_until(std::chrono::steady_clock::now() + 1ms));
        }).join();
    };
    in_run([&](verdict& v) {
        m.lock();
        EXPECT(m.try_lock());
        EXPECT(m.try_lock_for(1ms));
        {
            const std::unique_lock hold(m);
            pirn::yield();   // it may go on on another thread
            others_fail(v);
            // On the thread, but the same goroutine.
            pirn::blocking([&] {
                EXPECT(m.try_lock());
                m.unlock();
            });
        }
        for (int i = 0; i < 3; ++i) {
            others_fail(v);
            m.unlock();
        }
        crowd all;
        all.go([&] {
            const std::scoped_lock hold(m);
            EXPECT(m.try_lock());
            m.unlock();
        });
        all.join();
    });
    // A thread without a runtime.
    const std::scoped_lock hold(m);
    REQUIRE(m.try_lock());
    bool others = true;
    std::thread([&] { others = m.try_lock(); }).join();
    REQUIRE(!others);
    m.unlock();
}

TEST_CASE("a recursive_mutex excludes others") {
    in_run([](verdict& v) {
        pirn::recursive_mutex m;
        long plain = 0;
        const auto work = [&] {
            for (int i = 0; i < 500; ++i) {
                const std::lock_guard outer(m);
                const long before = plain;
                if (i % 16 == 0) pirn::yield();
                const std::lock_guard inner(m);
                EXPECT(plain == before);
                ++plain;
            }
        };
        crowd all;
        for (int g = 0; g < 6; ++g) all.go(work);
        std::thread outside(work);
        all.join();
        outside.join();
        EXPECT(plain == 3500);
    });
}
