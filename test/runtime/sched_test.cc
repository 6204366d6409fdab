// SPDX-License-Identifier: MIT
// The scheduler: nobody lost, nobody starved, Ps that come and go.
#include "test/support/fixture.h"
#include "test/support/mailbox.h"

#include <time.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <pirn/runtime.h>
#include <pirn/sleep.h>

using namespace pirn;
using namespace pirn::test;

TEST_CASE("G06 yield lets every other goroutine run") {
    on_procs([](int procs) {
        constexpr int k_goroutines = 50, k_turns = 200;
        std::vector<int> turns(k_goroutines, 0);
        std::atomic<int> done{0};
        run([&] {
            for (int i = 0; i < k_goroutines; ++i) {
                go([&, i] {
                    for (int t = 0; t < k_turns; ++t) {
                        ++turns[static_cast<std::size_t>(i)];
                        yield();
                    }
                    ++done;
                });
            }
            wait_until([&] { return done == k_goroutines; });
        }, {.procs = procs});
        for (const int t : turns) CHECK(t == k_turns);
    });
}

TEST_CASE("on one P goroutines that yield take turns in order") {
    std::string order;
    run([&] {
        std::atomic<int> done{0};
        for (char c : {'a', 'b', 'c'}) {
            go([&, c] {
                for (int i = 0; i < 4; ++i) {
                    order += c;
                    yield();
                }
                ++done;
            });
        }
        wait_until([&] { return done == 3; });
    }, {.procs = 1});
    REQUIRE(order.size() == 12);
    for (std::size_t i = 3; i < 12; ++i) CHECK(order[i] == order[i - 3]);
}

TEST_CASE("G10 as many goroutines as Ps run at the same time") {
    on_procs([](int procs) {
        std::atomic<int> met{0};
        run([&] {
            // Each spins without yielding until all are there.
            for (int i = 0; i < procs; ++i) {
                go([&] {
                    ++met;
                    while (met < procs) std::this_thread::yield();
                });
            }
            sleep_for(std::chrono::milliseconds(1));
            wait_until([&] { return met == procs; });
        }, {.procs = procs + 1});
        CHECK(met == procs);
    });
}

TEST_CASE("G11 maxprocs up and down under load") {
    on_procs([](int procs) {
        std::atomic<long> ended{0};
        long started = 0;
        int before = 0, after = 0;
        run([&] {
            before = maxprocs();
            for (int round = 0; round < 40; ++round) {
                for (int i = 0; i < 50; ++i) {
                    ++started;
                    go([&] {
                        for (int k = 0; k < 5; ++k) yield();
                        sleep_for(std::chrono::microseconds(100));
                        ++ended;
                    });
                }
                maxprocs(1 + round % 7);
                yield();
            }
            maxprocs(procs);
            after = maxprocs();
            wait_until([&] { return ended == started; });
        }, {.procs = procs});
        CHECK(ended == started);
        CHECK(before == procs);
        CHECK(after == procs);
    });
}

TEST_CASE("maxprocs from one to several lets idle Ps take what is queued") {
    std::atomic<int> met{0};
    run([&] {
        for (int i = 0; i < 3; ++i) {
            go([&] {
                ++met;
                while (met < 4) std::this_thread::yield();
            });
        }
        maxprocs(4);
        ++met;
        while (met < 4) std::this_thread::yield();
    }, {.procs = 1});
    CHECK(met == 4);
}

TEST_CASE("G17 a full queue overflows, and every goroutine runs once") {
    on_procs([](int procs) {
        constexpr int k_goroutines = 20'000;
        std::vector<std::atomic<int>> ran(k_goroutines);
        run([&] {
            std::atomic<int> n{0};
            for (int i = 0; i < k_goroutines; ++i) {
                go([&, i] {
                    ++ran[static_cast<std::size_t>(i)];
                    if (i % 3 == 0) yield();
                    ++n;
                });
            }
            wait_until([&] { return n == k_goroutines; });
        }, {.procs = procs});
        int wrong = 0;
        for (auto& r : ran) wrong += r != 1;
        CHECK(wrong == 0);
    });
}

TEST_CASE("G18 no wakeup is lost in park and ready races") {
    on_procs([](int procs) {
        // A million wakeups.
        const int rounds = at_full_speed(100'000);
        constexpr int k_pairs = 5;
        std::atomic<int> done{0};
        run([&] {
            std::vector<std::unique_ptr<mailbox>> boxes;
            for (int i = 0; i < 2 * k_pairs; ++i) boxes.push_back(std::make_unique<mailbox>());
            for (int i = 0; i < k_pairs; ++i) {
                mailbox *a = boxes[static_cast<std::size_t>(2 * i)].get(),
                        *b = boxes[static_cast<std::size_t>(2 * i + 1)].get();
                go([&, a, b] {
                    for (int r = 0; r < rounds; ++r) {
                        a->put();
                        b->take();
                    }
                    ++done;
                });
                go([&, a, b] {
                    for (int r = 0; r < rounds; ++r) {
                        a->take();
                        b->put();
                    }
                    ++done;
                });
            }
            wait_until([&] { return done == 2 * k_pairs; });
        }, {.procs = procs});
        CHECK(done == 2 * k_pairs);
    });
}

TEST_CASE("G18 several goroutines wake a foreign thread, and are woken by it") {
    on_procs([](int procs) {
        const int rounds = at_full_speed(4000);
        constexpr int k_goroutines = 5;
        std::atomic<int> got{0};
        run([&] {
            struct two {
                mailbox to, back;
            };
            const auto boxes = std::make_unique<two[]>(k_goroutines);
            std::thread t([&] {
                for (int r = 0; r < rounds; ++r) {
                    for (int i = 0; i < k_goroutines; ++i) {
                        boxes[static_cast<std::size_t>(i)].to.take();
                        boxes[static_cast<std::size_t>(i)].back.put();
                    }
                }
            });
            for (int i = 0; i < k_goroutines; ++i) {
                go([&, mine = &boxes[static_cast<std::size_t>(i)]] {
                    for (int r = 0; r < rounds; ++r) {
                        mine->to.put();
                        mine->back.take();
                        ++got;
                    }
                });
            }
            wait_until([] { return num_goroutine() == 1; });
            t.join();
        }, {.procs = procs});
        CHECK(got == k_goroutines * rounds);
    });
}

TEST_CASE("K06 races of park and wake, and runs that begin and end, are not taken for a deadlock") {
    on_procs([](int procs) {
        int rounds = 0;
        // One of the two is always asleep, and often both for a moment. A deadlock that is reported
        // ends the process.
        run([&] {
            mailbox there, back;
            const int all = at_full_speed(100'000);
            go([&] {
                for (int i = 0; i < all; ++i) {
                    there.take();
                    back.put();
                }
            });
            for (; rounds < all; ++rounds) {
                there.put();
                back.take();
            }
        }, {.procs = procs});
        CHECK(rounds == at_full_speed(100'000));
        int ended = 0;
        for (int i = 0; i < 200; ++i) {
            mailbox box;
            run([&] {
                go([&] { box.put(); });
                box.take();
                ++ended;
            }, {.procs = procs});
        }
        CHECK(ended == 200);
    });
}

TEST_CASE("G18 a sleeping process wakes for each message of a foreign thread") {
    on_procs([](int procs) {
        int got = 0;
        run([&] {
            mailbox to, back;
            std::thread t([&] {
                for (int i = 0; i < 2000; ++i) {
                    to.put();
                    back.take();
                }
            });
            for (; got < 2000; ++got) {
                to.take();
                back.put();
            }
            t.join();
        }, {.procs = procs});
        CHECK(got == 2000);
    });
}

TEST_CASE("G19 the global queue is not starved by two goroutines that wake each other") {
    on_procs([](int procs) {
        std::atomic<bool> ran{false};
        run([&] {
            mailbox a, b;
            std::atomic<bool> stop{false};
            std::atomic<int> ended{0};
            go([&] { while (!stop) { a.put(); b.take(); } a.put(); ++ended; });
            go([&] { while (!stop) { a.take(); b.put(); } b.put(); ++ended; });
            // From outside, so that it goes to the global queue.
            std::thread([&] { go([&] { ran = true; }); }).join();
            wait_until([&] { return ran.load(); });
            stop = true;
            wait_until([&] { return ended == 2; });
        }, {.procs = procs});
        CHECK(ran);
    });
}

TEST_CASE("a goroutine readied by one that computes on is run by another P") {
    on_procs([](int procs) {
        if (procs == 1) return;
        std::atomic<int> rounds{0};
        run([&] {
            for (; rounds < 20; ++rounds) {
                std::atomic<bool> ran{false};
                go([&] { ran = true; });
                while (!ran) std::this_thread::yield();  // does not give way to the scheduler
            }
        }, {.procs = procs});
        CHECK(rounds == 20);
    });
}

TEST_CASE("the watching thread sleeps while goroutines compute and nobody waits for a P") {
    // CPU time of the thread of this process that has the name; -1 if there is none.
    const auto cpu_ns_of = [](const std::string& name) -> long long {
        for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
            std::string comm;
            std::getline(std::ifstream(task.path() / "comm"), comm);
            if (comm != name) continue;
            // The kernel's number for the CPU clock of a thread (CPUCLOCK_PERTHREAD_MASK and
            // CPUCLOCK_SCHED).
            const int tid = std::stoi(task.path().filename());
            timespec t{};
            if (::clock_gettime(static_cast<clockid_t>(~tid * 8 + 6), &t) != 0) return -1;
            return t.tv_sec * 1'000'000'000LL + t.tv_nsec;
        }
        return -1;
    };
    long long before = -1, after = -1;
    run([&] {
        wait_until([&] { return (before = cpu_ns_of("pirn-sysmon")) >= 0; });
        const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(300);
        while (std::chrono::steady_clock::now() < end) {}
        after = cpu_ns_of("pirn-sysmon");
    }, {.procs = 1});
    REQUIRE(before >= 0);
    CHECK(after - before < 20'000'000);
}
