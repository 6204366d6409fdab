// SPDX-License-Identifier: MIT
// worker_pool: gopool's tests, its counts and its cap, panics, close, and what a run leaves behind.
#include <pirn/worker_pool.h>

#include <array>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "test/chan/verdict.h"

using namespace pirn::test;

TEST_CASE("a worker pool runs every task, on as many workers as the cap at the most") {
    in_run([](verdict& v) {
        // gopool's TestPool.
        for (const int cap : {1, 8, 100}) {
            pirn::worker_pool pool("test", cap);
            EXPECT(pool.name() == "test");
            constexpr int k_tasks = 2000, k_threads = 2;
            std::atomic<int> ran{0}, active{0}, most{0};
            const auto task = [&](int i) {
                const int now = ++active;
                int seen = most;
                while (now > seen && !most.compare_exchange_weak(seen, now)) {
                }
                if (i % 16 == 0) pirn::yield();
                --active;
                ++ran;
            };
            std::vector<std::thread> threads;
            for (int t = 0; t < k_threads; ++t)
                threads.emplace_back([&] {
                    for (int i = 0; i < k_tasks; ++i) pool.go([&, i] { task(i); });
                });
            for (int i = 0; i < k_tasks; ++i) pool.go([&, i] { task(i); });
            for (auto& t : threads) t.join();
            UNTIL(ran == (k_threads + 1) * k_tasks);
            EXPECT(most <= cap);
            UNTIL(pool.worker_count() == 0);
            EXPECT(pool.task_count() == 0);
        }
    });
    pirn::worker_pool outside("outside", 1);
    REQUIRE(panic_of([&] { outside.go([] {}); }) != "none");
    REQUIRE(outside.task_count() == 0);
}

TEST_CASE("tasks of every kind are run once and destroyed") {
    in_run([](verdict& v) {
        pirn::worker_pool pool("kinds", 3);
        std::atomic<long> sum{0};
        for (int i = 0; i < 100; ++i) {
            pool.go([&, p = std::make_unique<int>(1), c = counted(1)] { sum += *p + c.value; });
            // Larger than a record.
            struct large {
                char bytes[300] = {1};
            };
            pool.go([&, l = large(), c = counted(1)] { sum += l.bytes[0] + c.value; });
        }
        UNTIL(sum == 400 && counted::alive == 0);
        // In the order of the calls, where there is one worker.
        pirn::worker_pool one("one", 1);
        std::vector<int> order;
        std::atomic<bool> done{false};
        for (int i = 0; i < 100; ++i) one.go([&, i] { order.push_back(i); });
        one.go([&] { done = true; });
        UNTIL(done.load());
        bool sorted = order.size() == 100;
        for (int i = 0; sorted && i < 100; ++i) sorted = order[i] == i;
        EXPECT(sorted);
    });
}

TEST_CASE("a worker pool's threshold, counts and cap") {
    in_run([](verdict& v) {
        pirn::worker_pool pool("scale", 4, {.scale_threshold = 3});
        std::atomic<bool> may_end{false};
        std::atomic<int> ran{0};
        const auto start = [&](int n) {
            for (int i = 0; i < n; ++i)
                pool.go([&] {
                    UNTIL(may_end.load());
                    ++ran;
                });
        };
        // The first task gets a worker, the next ones wait until there are three.
        start(1);
        EXPECT(pool.worker_count() == 1);
        UNTIL(pool.task_count() == 0);
        start(2);
        EXPECT(pool.worker_count() == 1 && pool.task_count() == 2);
        start(1);
        EXPECT(pool.worker_count() == 2);
        UNTIL(pool.task_count() == 2);
        // Up to the cap.
        start(20);
        EXPECT(pool.worker_count() == 4);
        UNTIL(pool.task_count() == 20);
        // More, while running, for what is queued.
        pool.set_cap(9);
        EXPECT(pool.worker_count() == 9);
        UNTIL(pool.task_count() == 15);
        // Fewer: those above the cap leave.
        pool.set_cap(2);
        EXPECT(pool.worker_count() == 9);
        may_end = true;
        UNTIL(ran == 24);
        UNTIL(pool.worker_count() == 0);

        may_end = false;
        start(30);
        UNTIL(pool.worker_count() == 2);
        for (int i = 0; i < 20; ++i) pirn::yield();
        EXPECT(pool.worker_count() == 2);
        // Whatever the cap is, tasks are run.
        pool.set_cap(0);
        may_end = true;
        UNTIL(ran == 54);
        start(5);
        UNTIL(ran == 59);
        UNTIL(pool.worker_count() == 0);
    });
}

TEST_CASE("a lower cap takes workers away while tasks are queued") {
    in_run([](verdict& v) {
        pirn::worker_pool pool("fewer", 6);
        std::array<std::atomic<bool>, 2> may_end{};
        std::atomic<int> ran{0}, active{0};
        const auto start = [&](int n, int gate) {
            for (int i = 0; i < n; ++i)
                pool.go([&, gate] {
                    ++active;
                    UNTIL(may_end[gate].load());
                    --active;
                    ++ran;
                });
        };
        start(6, 0);
        start(20, 1);
        UNTIL(active == 6);
        pool.set_cap(2);
        may_end[0] = true;
        UNTIL(ran == 6);
        UNTIL(active == 2);
        EXPECT(pool.worker_count() == 2 && pool.task_count() == 18);
        may_end[1] = true;
        UNTIL(ran == 26);
        UNTIL(pool.worker_count() == 0);
    });
}

TEST_CASE("exceptions go to the pool's handler, and are counted") {
    in_run([](verdict& v) {
        pirn::worker_pool pool("panics", 2);
        std::mutex mutex;
        std::multiset<std::string> texts;
        std::uint64_t counted_to = 0;
        int counts = 0;
        pool.set_panic_counter([&](std::string_view name, std::uint64_t n) {
            const std::lock_guard hold(mutex);
            EXPECT(name == "panics");
            counted_to = std::max(counted_to, n);
            ++counts;
        });
        pool.set_panic_handler([&](std::exception_ptr thrown) {
            const std::lock_guard hold(mutex);
            try {
                std::rethrow_exception(thrown);
            } catch (const std::exception& e) {
                texts.insert(e.what());
            } catch (int i) {
                texts.insert(std::to_string(i));
            }
        });
        std::atomic<int> ran{0};
        for (int i = 0; i < 50; ++i) {
            pool.go([&] { throw std::runtime_error("thrown"); });
            pool.go([&] { throw 7; });
            pool.go([&] { ++ran; });
        }
        UNTIL(pool.panic_count() == 100 && ran == 50 && pool.worker_count() == 0);
        EXPECT(texts.count("thrown") == 50 && texts.count("7") == 50);
        EXPECT(counted_to == 100 && counts == 100);
        // Another handler, while tasks run.
        std::atomic<int> second{0};
        pool.set_panic_handler([&](std::exception_ptr) { ++second; });
        pool.go([] { throw 1; });
        UNTIL(second == 1);
        UNTIL(pool.worker_count() == 0);
        EXPECT(texts.size() == 100);
    });
}

TEST_CASE("a task that calls goexit ends its worker, not the pool") {
    in_run([](verdict& v) {
        for (const int cap : {1, 3}) {
            pirn::worker_pool pool("goexit", cap);
            std::atomic<int> ran{0};
            for (int i = 0; i < 50; ++i) {
                pool.go([&, c = counted(1)] {
                    ++ran;
                    pirn::goexit();
                });
                pool.go([&] { ++ran; });
            }
            UNTIL(ran == 100);
            UNTIL(pool.worker_count() == 0 && counted::alive == 0);
            EXPECT(pool.panic_count() == 0);
        }
    });
}

TEST_CASE("a closed pool runs what is queued and takes no more") {
    in_run([](verdict& v) {
        std::atomic<bool> may_end{false};
        std::atomic<int> ran{0};
        {
            pirn::worker_pool pool("closed", 1);
            for (int i = 0; i < 20; ++i)
                pool.go([&] {
                    UNTIL(may_end.load());
                    ++ran;
                });
            pool.close();
            EXPECT(panic_of([&] { pool.go([c = counted(1)] {}); }) == "use closed pool");
            EXPECT(counted::alive == 0);
            pool.close();
            EXPECT(ran == 0 && pool.worker_count() == 1);
        }
        // The pool is gone, its tasks are not.
        may_end = true;
        UNTIL(ran == 20);
        UNTIL(pirn::num_goroutine() == 1);
    });
}

TEST_CASE("a worker pool outlives a run that ends while its tasks wait") {
    on_procs([](int procs) {
        pirn::worker_pool pool("runs", 2);
        std::atomic<int> began{0};
        pirn::run(
            [&] {
                for (int i = 0; i < 10; ++i)
                    pool.go([&] {
                        ++began;
                        for (;;) pirn::yield();
                    });
                UNTIL(began == 2);
            },
            {.procs = procs});
        verdict v;
        pirn::run(
            [&] {
                EXPECT(pool.worker_count() == 0 && pool.task_count() == 0);
                std::atomic<int> ran{0};
                for (int i = 0; i < 10; ++i) pool.go([&] { ++ran; });
                UNTIL(ran == 10);
                EXPECT(began == 2);
                UNTIL(pool.worker_count() == 0);
            },
            {.procs = procs});
        REQUIRE(v.text() == "");
    });
}

TEST_CASE("the default pool") {
    in_run([](verdict& v) {
        std::atomic<int> ran{0};
        std::atomic<bool> may_end{false};
        for (int i = 0; i < 20; ++i)
            pirn::gopool::go([&] {
                UNTIL(may_end.load());
                ++ran;
            });
        // It has no limit.
        EXPECT(pirn::gopool::worker_count() == 20);
        may_end = true;
        UNTIL(ran == 20);
        UNTIL(pirn::gopool::worker_count() == 0);
        std::atomic<int> handled{0};
        pirn::gopool::set_panic_handler([&](std::exception_ptr) { ++handled; });
        pirn::gopool::go([] { throw 1; });
        UNTIL(handled == 1);
        UNTIL(pirn::gopool::worker_count() == 0);
    });
}
