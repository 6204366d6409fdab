// SPDX-License-Identifier: MIT
// The run queue's orders, on the real header: in every interleaving of its owner with a thief each
// element is taken once, and what was written to it before it was queued is seen by who takes it.
#include <catch2/catch.hpp>

#include <cstdint>
#include <cstdio>
#include <optional>

#include "runtime/runq.h"
#include "test/support/explorer.h"

namespace {

using namespace pirn;

constexpr int k_items = 2;
constexpr int k_thieves = 2;

struct item {
    model::plain<int> written;
    int times_taken = 0;
};

// The owner queues one, takes it if no thief does, and queues another: on the ring or as next.
class play : public model::scenario {
  public:
    explicit play(bool next) : next_(next) {}
    int threads() const override { return 1 + k_thieves; }
    void thread(int id) override {
        if (id == 0) return own();
        // There is never more than one in the ring, so that none stays in the thief's own.
        take(next_ ? queue_.steal_next() : queue_.steal(stolen_[id - 1]));
    }
    std::uint64_t digest() const override {
        std::uint64_t h = 0;
        for (const item& i : items_) h = model::mix(h, static_cast<std::uint64_t>(i.times_taken));
        return h;
    }
    const char* verdict() override {
        for (const item& i : items_) {
            if (i.times_taken != 1) return "an item was not taken once";
        }
        return nullptr;
    }

  private:
    void own() {
        for (item& i : items_) i.written.set(1);
        for (item& i : items_) {
            if (next_)
                model::require(queue_.swap_next(&i, false) == nullptr, "next is empty");
            else
                model::require(queue_.push(&i), "the ring has room");
            take(next_ ? queue_.take_next(false) : queue_.pop(false));
        }
    }
    static void take(item* i) {
        if (i == nullptr) return;
        model::require(i->written.get() == 1, "an item without what was written to it");
        ++i->times_taken;
    }

    const bool next_;
    item items_[k_items];
    rt::runq<item, 2> queue_, stolen_[k_thieves];
};

model::result explore_queue(bool next, const char* weakened) {
    std::optional<play> now;
    model::options how;
    how.weakened_function = weakened;
    return model::explore([&] { return &now.emplace(next); }, how);
}

}  // namespace

TEST_CASE("runq: each element is taken once, in every interleaving") {
    for (const bool next : {false, true}) {
        CAPTURE(next);
        const model::result r = explore_queue(next, nullptr);
        std::printf("%s: %lu executions, %lu states, %lu ends\n", next ? "next" : "ring",
                    static_cast<unsigned long>(r.executions), static_cast<unsigned long>(r.states),
                    static_cast<unsigned long>(r.ends));
        CHECK(r.failure == "");
        CHECK(r.complete);
        CHECK(r.executions > 100);
    }
}

TEST_CASE("runq: a weaker order is found") {
    for (const bool next : {false, true}) {
        CAPTURE(next);
        const model::result r = explore_queue(next, next ? "swap_next" : "push");
        CHECK(r.weakened != 0);
        CHECK(r.failure != "");
    }
}
