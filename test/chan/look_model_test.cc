// SPDX-License-Identifier: MIT
// Looks at channels without their locks, on the real header: in every interleaving with those who
// change the channels what a look says was true at one moment.
#include <catch2/catch.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <optional>

#include "chan/look.h"
#include "test/support/explorer.h"

namespace {

using namespace pirn;

// What of a channel is looked at. Each is changed by one thread only, which stands for the lock.
struct channel {
    struct queue {
        explicit queue(std::uint32_t n) : size(n) {}
        base::atomic<std::uint32_t> size;
    };
    explicit channel(std::size_t n, std::uint32_t senders = 0) : count(n), sendq(senders) {}
    base::atomic<bool> closed{false};
    base::atomic<std::size_t> count;
    base::atomic<void*> returned{nullptr};
    base::atomic<std::uint32_t> changes{0};
    queue recvq{0}, sendq;
    std::size_t capacity = 1;
};

// One thread changes, another looks, and says what is wrong with what it saw.
class looking : public model::scenario {
  public:
    int threads() const override { return 2; }
    void thread(int id) override {
        if (id == 0)
            change();
        else
            look();
    }
    std::uint64_t digest() const override { return 0; }
    const char* verdict() override { return nullptr; }

  protected:
    virtual void change() = 0;
    virtual void look() = 0;
};

// A value is sent, then the channel is closed: nobody may see the end before the value.
class value_then_end : public looking {
    void change() override {
        detail::set_count(&c_, 1);
        detail::set_closed(&c_);
    }
    void look() override {
        model::require(detail::look_to_receive(&c_) != recv_status::closed,
                       "the end was seen before the value");
    }
    channel c_{0};
};

// A channel that was full is drained, then closed: nobody may find it full once he has found it
// closed, nor closed and with a value once he has found it empty.
class drained_then_closed : public looking {
    void change() override {
        detail::set_count(&c_, 0);
        detail::set_closed(&c_);
    }
    void look() override {
        if (detail::look_to_receive(&c_) == recv_status::closed) {
            model::require(!detail::send_would_block(&c_), "full, and closed before");
            model::require(detail::look_to_receive(&c_) == recv_status::closed,
                           "a value after the end");
        }
    }
    channel c_{1};
};

// There is always a value in one of two channels, in its buffer or with a sender that waits: a
// select finds it, or sees that something has changed.
class always_one : public looking {
  public:
    explicit always_one(bool parked)
        : parked_(parked), a_(0, 0), b_(parked ? 0 : 1, parked ? 1 : 0) {}

  private:
    void change() override {
        put(a_, 1);
        put(b_, 0);
        put(b_, 1);
        put(a_, 0);
    }
    void put(channel& c, unsigned n) {
        if (!parked_) return detail::set_count(&c, n);
        detail::set_size(c.sendq, n);
        detail::count_change(&c);
    }
    void look() override {
        const std::uint32_t before_a = detail::changes_before(&a_);
        if (!detail::looks_empty(&a_)) return;
        const std::uint32_t before_b = detail::changes_before(&b_);
        if (!detail::looks_empty(&b_)) return;
        model::require(
            detail::has_changed(&a_, before_a) || detail::has_changed(&b_, before_b),
            "no value was found, and there always is one");
    }

    const bool parked_;
    channel a_, b_;
};

template <class Scenario, class... Args>
model::result explore(const char* weakened, Args... args) {
    std::optional<Scenario> now;
    model::options how;
    how.weakened_function = weakened;
    return model::explore([&] { return &now.emplace(args...); }, how);
}

void check(const char* name, const model::result& r) {
    INFO(name);
    std::printf("%s: %lu executions, %lu states, %lu ends\n", name,
                static_cast<unsigned long>(r.executions), static_cast<unsigned long>(r.states),
                static_cast<unsigned long>(r.ends));
    CHECK(r.failure == "");
    CHECK(r.complete);
    CHECK(r.executions > 10);
}

}  // namespace

TEST_CASE("what a look at a channel says was true at one moment, in every interleaving") {
    check("value, then end", explore<value_then_end>(nullptr));
    check("drained, then closed", explore<drained_then_closed>(nullptr));
    check("one of two, buffered", explore<always_one>(nullptr, false));
    check("one of two, parked", explore<always_one>(nullptr, true));
}

TEST_CASE("weaker orders of the looks are found") {
    for (const char* function : {"set_closed", "is_closed_now"}) {
        INFO(function);
        const model::result r = explore<value_then_end>(function);
        CHECK(r.weakened != 0);
        CHECK(r.failure != "");
    }
    for (const char* function : {"set_count", "count_change", "looks_empty", "changes_before"}) {
        INFO(function);
        const model::result r = explore<always_one>(function, false);
        CHECK(r.weakened != 0);
        CHECK(r.failure != "");
    }
    const model::result r = explore<always_one>("set_size", true);
    CHECK(r.weakened != 0);
    CHECK(r.failure != "");
}
