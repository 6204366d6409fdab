// SPDX-License-Identifier: MIT
// Threads that goroutines start, and the variables of threads: code that was compiled for growing
// stacks runs on a plain thread as plain code.
#include <atomic>
#include <condition_variable>
#include <future>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <pirn/chan.h>

#include "test/growth/foreign.h"
#include "test/growth/subject.h"

using growth::at_depth;
using growth::at_each_depth;
using growth::ballast;

namespace {

std::atomic<int> made{0}, destroyed{0};

struct of_thread {
    std::string text = "a text that is too long to lie within the string itself";
    of_thread() {
        ballast<3000> room;
        made += 1 + room.damage();
    }
    ~of_thread() {
        ballast<3000> room;
        destroyed += 1 + room.damage();
    }
};

thread_local of_thread own;

GROWTH_OPAQUE int hops_and_throws(int frames) {
    ballast<2000> room;
    if (frames == 0) throw std::runtime_error("on a thread");
    return hops_and_throws(frames - 1) + 1 + room.damage();
}

GROWTH_OPAQUE bool works_here() {
    try {
        hops_and_throws(100);
    } catch (const std::runtime_error&) {
        return at_depth(1000, [] {}) == 1000 && foreign::wide(1) == 2;
    }
    return false;
}

GROWTH_SUBJECT("threads: started and joined by a goroutine") {
    auto calls = [&] {
        int sum = 0;
        std::thread t([&] { sum = at_depth(500, [] {}) + foreign::deep(100); });
        t.join();
        EXPECT(sum == 600);
    };
    at_each_depth(calls, 12);
    std::atomic<int> worked{0};
    std::vector<std::thread> all;
    for (int i = 0; i < 4; ++i) all.emplace_back([&] { worked += works_here(); });
    for (std::thread& t : all) t.join();
    EXPECT(worked == 4 && works_here());
}

GROWTH_SUBJECT("threads: a thread sends, the goroutine parks on a deep stack") {
    const auto numbers = pirn::make_chan<int>();
    std::thread sender([numbers] {
        for (int i = 1; i <= 100; ++i) numbers.send(i);
        numbers.close();
    });
    int sum = 0;
    at_depth(50, [&] {
        for (int n : numbers) at_depth(n % 30, [&] { sum += n; });
    });
    sender.join();
    EXPECT(sum == 5050);
}

GROWTH_SUBJECT("threads: thread_local with a constructor and a destructor") {
    auto calls = [&] { EXPECT(own.text.size() == 55); };
    at_each_depth(calls);
    const int made_before = made, destroyed_before = destroyed;
    std::thread t([&] { at_depth(10, [&] { EXPECT(own.text.size() == 55); }); });
    t.join();
    EXPECT(made == made_before + 1 && destroyed == destroyed_before + 1);
}

GROWTH_SUBJECT("threads: async, call_once, mutex and condition variable") {
    auto calls = [&] {
        std::future<int> f = std::async(std::launch::async, [] { return at_depth(200, [] {}); });
        EXPECT(f.get() == 200);
        std::future<int> thrower =
            std::async(std::launch::async, [] { return hops_and_throws(10); });
        bool caught = false;
        try {
            thrower.get();
        } catch (const std::runtime_error&) {
            caught = true;
        }
        EXPECT(caught);
        std::once_flag flag;
        int called = 0;
        for (int i = 0; i < 3; ++i) std::call_once(flag, [&] { called += foreign::deep(1); });
        EXPECT(called == 1);
        std::mutex m;
        std::condition_variable ready;
        bool is_ready = false;
        std::thread waker([&] {
            const std::lock_guard hold(m);
            is_ready = true;
            ready.notify_one();
        });
        {
            std::unique_lock hold(m);
            ready.wait(hold, [&] { return is_ready; });
        }
        waker.join();
    };
    calls();
    at_depth(13, calls);
}

}  // namespace
