// SPDX-License-Identifier: MIT
// The run queue alone: against a model, and with thieves.
#include <catch2/catch.hpp>

#include <atomic>
#include <deque>
#include <random>
#include <thread>
#include <vector>

#include "runtime/runq.h"

using pirn::rt::runq;

TEST_CASE("runq: the owner's operations against std::deque") {
    const unsigned seed = std::random_device{}();
    CAPTURE(seed);
    std::mt19937 random(seed);
    std::vector<int> items(1000);
    for (const bool alone : {true, false}) {
        runq<int, 8> q;
        std::deque<int*> model;
        for (int step = 0; step < 100'000; ++step) {
            int* x = &items[random() % items.size()];
            switch (random() % 5) {
                case 0:
                case 1: {
                    const bool pushed = q.push(x);
                    REQUIRE(pushed == (model.size() < 8));
                    if (pushed) model.push_back(x);
                    break;
                }
                case 2: {
                    int* got = q.pop(alone);
                    REQUIRE(got == (model.empty() ? nullptr : model.front()));
                    if (got != nullptr) model.pop_front();
                    break;
                }
                case 3: {
                    int* half[4];
                    const auto n = q.take_half(half);
                    REQUIRE(n == (model.size() == 8 ? 4u : 0u));
                    for (unsigned i = 0; i < n; ++i) {
                        REQUIRE(half[i] == model.front());
                        model.pop_front();
                    }
                    break;
                }
                case 4: {
                    if (!alone) break;
                    int* got = q.rotate(x);
                    REQUIRE(got == (model.empty() ? nullptr : model.front()));
                    if (got != nullptr) {
                        model.pop_front();
                        model.push_back(x);
                    }
                    break;
                }
            }
            REQUIRE(q.size() == model.size());
            REQUIRE(q.empty() == model.empty());
        }
    }
}

TEST_CASE("runq: next holds one and gives back what was there") {
    runq<int, 8> q;
    int a = 0, b = 0;
    for (const bool alone : {true, false}) {
        CHECK(q.swap_next(&a, alone) == nullptr);
        CHECK(!q.empty());
        CHECK(q.ring_empty());
        CHECK(q.swap_next(&b, alone) == &a);
        CHECK(q.take_next(alone) == &b);
        CHECK(q.take_next(alone) == nullptr);
        CHECK(q.empty());
        q.swap_next(&a, alone);
        CHECK(q.steal_next() == &a);
        CHECK(q.steal_next() == nullptr);
    }
}

TEST_CASE("runq: every element is taken once, by the owner or one of the thieves") {
    constexpr int k_items = 200'000, k_thieves = 3;
    std::vector<std::atomic<int>> taken(k_items);
    std::vector<int> ids(k_items);
    for (int i = 0; i < k_items; ++i) ids[static_cast<std::size_t>(i)] = i;
    runq<int, 16> q;
    std::atomic<int> count{0};
    auto take = [&](int* x) {
        ++taken[static_cast<std::size_t>(*x)];
        ++count;
    };
    std::vector<std::thread> thieves;
    for (int t = 0; t < k_thieves; ++t) {
        thieves.emplace_back([&, t] {
            runq<int, 16> own;
            while (count < k_items) {
                int* x = q.steal(own);
                if (x == nullptr && t == 0) x = q.steal_next();
                if (x != nullptr) take(x);
                while (int* y = own.pop(false)) take(y);
                if (x == nullptr) std::this_thread::yield();
            }
        });
    }
    for (int i = 0; i < k_items;) {
        int* x = &ids[static_cast<std::size_t>(i)];
        if (i % 5 == 0) {
            int* old = q.swap_next(x, false);
            ++i;
            if (old != nullptr) take(old);
        } else if (q.push(x)) {
            ++i;
        } else {
            int* half[8];
            const auto n = q.take_half(half);
            for (unsigned k = 0; k < n; ++k) take(half[k]);
        }
        if (i % 7 == 0) {
            if (int* y = q.pop(false)) take(y);
        }
    }
    while (count < k_items) {
        if (int* y = q.take_next(false)) take(y);
        if (int* y = q.pop(false)) take(y);
    }
    for (auto& t : thieves) t.join();
    int wrong = 0;
    for (auto& n : taken) wrong += n != 1;
    CHECK(wrong == 0);
}
