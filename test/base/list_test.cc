// SPDX-License-Identifier: MIT
// Intrusive lists against the standard library's, by random operations.
#include <catch2/catch.hpp>

#include <algorithm>
#include <deque>
#include <list>
#include <random>
#include <vector>

#include "runtime/base/list.h"
#include "runtime/base/rand.h"

using namespace pirn::base;

namespace {

struct tag;
struct item : list_node<tag> {
    int value = 0;
};
struct single {
    single* next = nullptr;
    int value = 0;
};

}  // namespace

TEST_CASE("list: random operations against std::list") {
    const unsigned seed = std::random_device{}();
    CAPTURE(seed);
    std::mt19937 random(seed);
    std::vector<item> items(50);
    for (int i = 0; i < 50; ++i) items[static_cast<std::size_t>(i)].value = i;
    list<item, tag> l;
    std::list<item*> model;
    for (int step = 0; step < 20000; ++step) {
        item* x = &items[random() % items.size()];
        switch (random() % 4) {
            case 0:
                if (!x->linked()) {
                    l.push_back(x);
                    model.push_back(x);
                }
                break;
            case 1:
                if (!x->linked()) {
                    l.push_front(x);
                    model.push_front(x);
                }
                break;
            case 2:
                if (x->linked()) {
                    l.remove(x);
                    model.remove(x);
                }
                break;
            case 3: {
                item* first = l.pop_front();
                REQUIRE(first == (model.empty() ? nullptr : model.front()));
                if (first != nullptr) model.pop_front();
                break;
            }
        }
        REQUIRE(l.empty() == model.empty());
        auto expected = model.begin();
        for (item* at = l.front(); at != nullptr; at = l.next(at)) {
            REQUIRE(expected != model.end());
            REQUIRE(at == *expected++);
        }
        REQUIRE(expected == model.end());
    }
}

TEST_CASE("fifo: order, size and append") {
    std::vector<single> items(10);
    fifo<single> a, b;
    for (int i = 0; i < 10; ++i) {
        items[static_cast<std::size_t>(i)].value = i;
        (i < 4 ? a : b).push_back(&items[static_cast<std::size_t>(i)]);
    }
    a.append(std::move(b));
    CHECK(a.size() == 10);
    CHECK(b.empty());
    fifo<single> none;
    a.append(std::move(none));
    for (int i = 0; i < 10; ++i) CHECK(a.pop_front()->value == i);
    CHECK(a.pop_front() == nullptr);
    CHECK(a.empty());
    a.push_back(items.data());
    CHECK(a.size() == 1);
    CHECK(a.front() == items.data());
}

TEST_CASE("rand: below stays below and reaches every value") {
    pirn::base::rand random(7);
    std::vector<int> seen(13);
    for (int i = 0; i < 13000; ++i) {
        const auto n = random.below(13);
        REQUIRE(n < 13);
        ++seen[n];
    }
    for (const int n : seen) CHECK(n > 500);
}
