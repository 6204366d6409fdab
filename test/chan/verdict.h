// SPDX-License-Identifier: MIT
// What the tests of channels and of sync have in common: checks that any goroutine or thread may
// make, runs at each number of Ps, waiting for a condition, and values that count themselves.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include <catch2/catch.hpp>
#include <pirn/chan.h>
#include <pirn/runtime.h>

#include "chan/hchan.h"
#include "test/support/fixture.h"

namespace pirn::test {

// Collects the first check that failed; Catch's own macros are for the main thread only.
class verdict {
  public:
    void check(bool ok, const char* what, int line) {
        if (ok) return;
        const std::lock_guard hold(mutex_);
        if (text_.empty()) text_ = std::string(what) + " (line " + std::to_string(line) + ")";
        ++failures_;
    }
    std::string text() const {
        const std::lock_guard hold(mutex_);
        return failures_ <= 1 ? text_ : text_ + " and " + std::to_string(failures_ - 1) + " more";
    }

  private:
    mutable std::mutex mutex_;
    std::string text_;
    int failures_ = 0;
};

#define EXPECT(condition) v.check((condition), #condition, __LINE__)

// Ends the process with a message if a condition has not come true within half a minute: a hang is
// a failure that says where.
template <class Condition>
void until(Condition&& condition, const char* what) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) {
            std::fprintf(stderr, "never true: %s\n", what);
            std::abort();
        }
        pirn::yield();
    }
}
#define UNTIL(condition) ::pirn::test::until([&] { return (condition); }, #condition)

// Runs body(v) as the main goroutine at each number of Ps.
template <class Body>
void in_run(Body&& body) {
    on_procs([&](int procs) {
        verdict v;
        pirn::run([&] { body(v); }, {.procs = procs});
        INFO(procs << " Ps");
        CHECK(v.text() == "");
    });
}

// Waits for goroutines: the sync library's tests must not rest on its own wait_group, nor do these.
class crowd {
  public:
    template <class F>
    void go(F f) {
        left_.fetch_add(1);
        pirn::go([this, f = std::move(f)]() mutable {
            {
                // Counted as gone when it is: with what it captured.
                F mine(std::move(f));
                mine();
            }
            left_.fetch_sub(1);
        });
    }
    void join() { join_but(0); }
    // Until n are left.
    void join_but(int n) { UNTIL(left_.load() == n); }

  private:
    std::atomic<int> left_{0};
};

// Two goroutines that do something at the same time, again and again: prepare() by one of them,
// then left() and right() from a common start, each a little late at random, then judge(). Where
// there is more than one P, they do run at once.
template <class Prepare, class Left, class Right, class Judge>
void duel(int rounds, std::uint64_t seed, Prepare prepare, Left left, Right right, Judge judge) {
    const int patience = pirn::maxprocs() == 1 ? 1 : 1000;
    std::atomic<int> arrived{0};
    const auto meet = [&](int times) {
        arrived.fetch_add(1);
        for (int i = 1; arrived.load() < times; ++i) {
            if (i % patience != 0) continue;
            pirn::yield();
            // The other's thread may wait for a CPU.
            if (patience > 1) std::this_thread::yield();
        }
    };
    const auto delay = [](std::minstd_rand& random) {
        for (auto n = random() % 128; n > 0; --n)
            std::atomic_signal_fence(std::memory_order_seq_cst);
    };
    crowd all;
    all.go([&, random = std::minstd_rand(static_cast<unsigned>(seed))]() mutable {
        for (int r = 0; r < rounds; ++r) {
            meet(4 * r + 2);
            delay(random);
            right();
            meet(4 * r + 4);
        }
    });
    std::minstd_rand random(static_cast<unsigned>(seed >> 32 ^ 1));
    for (int r = 0; r < rounds; ++r) {
        prepare();
        meet(4 * r + 2);
        delay(random);
        left();
        meet(4 * r + 4);
        judge();
    }
    all.join();
}

// How many are parked on a channel, as its queues say. What they did before is visible then.
inline std::size_t receivers_parked(const detail::chan_ref& c) {
    return detail::chan_access::of(c)->recvq.size.load(std::memory_order_acquire);
}
inline std::size_t senders_parked(const detail::chan_ref& c) {
    return detail::chan_access::of(c)->sendq.size.load(std::memory_order_acquire);
}
// Nobody waits on the channel.
inline bool is_idle(const detail::chan_ref& c) {
    return receivers_parked(c) == 0 && senders_parked(c) == 0;
}

// The text of the panic that f throws; "none" without one.
template <class F>
std::string panic_of(F&& f) {
    try {
        f();
    } catch (const pirn::panic& p) {
        return p.what();
    }
    return "none";
}

// A random test's seed: PIRN_TEST_SEED, or a new one; printed, so that it can be given again.
inline std::uint64_t seed(const char* test) {
    const char* given = std::getenv("PIRN_TEST_SEED");
    const std::uint64_t s = given != nullptr ? std::strtoull(given, nullptr, 10)
                                             : std::random_device{}();
    std::printf("%s: seed %llu\n", test, static_cast<unsigned long long>(s));
    return s;
}

// A movable value that is destroyed exactly once, or the counts tell.
struct counted {
    static inline std::atomic<long> alive{0};    // objects
    static inline std::atomic<long> values{0};   // objects that were not moved from

    int value;

    explicit counted(int v) : value(v) { born(); }
    counted(counted&& other) noexcept : value(std::exchange(other.value, k_none)) {
        alive.fetch_add(1);
    }
    counted& operator=(counted&& other) noexcept {
        if (this != &other) {
            gone();
            value = std::exchange(other.value, k_none);
        }
        return *this;
    }
    ~counted() {
        gone();
        alive.fetch_sub(1);
        value = k_destroyed;
    }

  private:
    static constexpr int k_none = -1, k_destroyed = -2;
    void born() {
        alive.fetch_add(1);
        values.fetch_add(1);
    }
    void gone() {
        if (value == k_destroyed) std::abort();
        if (value != k_none) values.fetch_sub(1);
    }
};

// A value whose moves throw while `armed`; so it travels in a box.
struct brittle {
    static inline std::atomic<bool> armed{false};
    int value;
    explicit brittle(int v) : value(v) {}
    brittle(brittle&& other) : value(other.value) {
        if (armed) throw std::runtime_error("a move");
        other.value = -1;
    }
};

}  // namespace pirn::test
