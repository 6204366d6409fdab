// SPDX-License-Identifier: MIT
// goroutine_local.
#include "test/support/fixture.h"

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <pirn/runtime.h>

using namespace pirn;
using namespace pirn::test;

namespace {

std::atomic<int> alive{0};

struct counted {
    int n = 7;
    counted() { ++alive; }
    counted(const counted&) = delete;
    ~counted() { --alive; }
};

goroutine_local<counted> of_each;

}  // namespace

TEST_CASE("G29 goroutine_local: each goroutine has its own, destroyed when it ends") {
    on_procs([](int procs) {
        std::atomic<int> ok{0}, most{0};
        run([&] {
            for (int i = 0; i < 100; ++i) {
                go([&, i] {
                    const bool fresh = !of_each.has_value() && of_each->n == 7;
                    of_each->n = i;
                    counted* mine = &*of_each;
                    for (int k = 0; k < 20; ++k) yield();
                    if (fresh && of_each->n == i && &of_each.get() == mine) ++ok;
                    most = std::max(most.load(), alive.load());
                });
            }
            wait_until([] { return num_goroutine() == 1; });
        }, {.procs = procs});
        CHECK(ok == 100);
        CHECK(most > 0);
        CHECK(alive == 0);
    });
}

TEST_CASE("goroutine_local: goexit destroys it too, also out of deep frames") {
    on_procs([](int procs) {
        std::atomic<bool> there{false};
        run([&] {
            go([&] {
                of_each->n = 1;
                there = alive == 1;
                struct deep {
                    static void at(int n) {
                        volatile char frame[512];
                        frame[n] = 1;
                        if (n > 0) at(n - 1);
                        void (*volatile leave)() = goexit;
                        if (frame[n] == 1) leave();
                    }
                };
                deep::at(200);
            });
            wait_until([] { return num_goroutine() == 1; });
        }, {.procs = procs});
        CHECK(there);
        CHECK(alive == 0);
    });
}

TEST_CASE("goroutine_local: the main goroutine's is destroyed before run returns") {
    on_procs([](int procs) {
        bool there = false;
        run([&] {
            of_each->n = 1;
            there = alive == 1;
        }, {.procs = procs});
        CHECK(there);
        CHECK(alive == 0);
    });
}

namespace {

std::string order;

struct noisy {
    char name = '?';
    goroutine_local<noisy>* uses = nullptr;
    ~noisy() {
        order += name;
        // Others can be used, whether they are there or not; so can yield.
        if (uses != nullptr) {
            yield();
            order += uses->has_value() ? '+' : '-';
            if (!uses->has_value()) uses->get().name = 'n';
        }
    }
};

}  // namespace

TEST_CASE("goroutine_local: values go in reverse order, and may use each other and park") {
    on_procs([](int procs) {
        goroutine_local<noisy> a, b, c;
        order.clear();
        run([&] {
            go([&] {
                a->name = 'a';
                b->name = 'b';
                c->name = 'c';
                c->uses = &a;  // which is there still
                a->uses = &b;  // which is gone by then: made anew, and destroyed as well
            });
            wait_until([] { return num_goroutine() == 1; });
        }, {.procs = procs});
        CHECK(order == "c+ba-n");
    });
}

TEST_CASE("goroutine_local: a maker says what a value is; one that throws leaves nothing") {
    on_procs([](int procs) {
        static std::atomic<int> calls{0};
        calls = 0;
        goroutine_local<std::unique_ptr<int>> made{[] { return std::make_unique<int>(5); }};
        goroutine_local<int> fails{[]() -> int {
            if (++calls < 3) throw std::runtime_error("not yet");
            return calls;
        }};
        std::atomic<int> five{0}, thrown{0}, third{0};
        run([&] {
            go([&] {
                five = **made;
                for (int i = 0; i < 2; ++i) {
                    try {
                        fails.get();
                    } catch (const std::runtime_error&) {
                        if (!fails.has_value()) ++thrown;
                    }
                }
                third = *fails;
            });
            wait_until([] { return num_goroutine() == 1; });
        }, {.procs = procs});
        CHECK(five == 5);
        CHECK(thrown == 2);
        CHECK(third == 3);
    });
}

TEST_CASE("goroutine_local: one that is gone leaves its values to their goroutine") {
    on_procs([](int procs) {
        std::atomic<int> before{-1}, seen{-1};
        run([&] {
            go([&] {
                auto first = std::make_unique<goroutine_local<counted>>();
                (*first)->n = 1;
                first.reset();
                before = alive.load();
                // Has the same slot, but no value yet.
                goroutine_local<counted> second;
                seen = second.has_value() ? 1 : 0;
                second->n = 2;
            });
            wait_until([] { return num_goroutine() == 1; });
        }, {.procs = procs});
        CHECK(before == 1);
        CHECK(seen == 0);
        CHECK(alive == 0);
    });
}

TEST_CASE("goroutine_local: more of them than the first array holds, and over-aligned values") {
    on_procs([](int procs) {
        struct alignas(128) wide {
            int n = 0;
        };
        std::vector<std::unique_ptr<goroutine_local<wide>>> many;
        for (int i = 0; i < 100; ++i) many.push_back(std::make_unique<goroutine_local<wide>>());
        std::atomic<int> wrong{0};
        run([&] {
            for (int round = 0; round < 4; ++round) {
                go([&] {
                    for (int i = 99; i >= 0; --i) {
                        many[static_cast<std::size_t>(i)]->get().n = i;
                        yield();
                    }
                    for (int i = 0; i < 100; ++i) {
                        wide& w = many[static_cast<std::size_t>(i)]->get();
                        if (w.n != i || reinterpret_cast<std::uintptr_t>(&w) % 128 != 0) ++wrong;
                    }
                });
            }
            wait_until([] { return num_goroutine() == 1; });
        }, {.procs = procs});
        CHECK(wrong == 0);
    });
}

TEST_CASE("goroutine_local: a foreign thread has one of its own, destroyed at its end") {
    int inside = 0, both = 0;
    std::thread outside([&] {
        of_each->n = 3;
        inside = alive;
        run([&] {
            if (!of_each.has_value()) of_each->n = 4;
            both = alive;
        }, {.procs = 1});
        if (of_each->n != 3) inside = -1;
    });
    outside.join();
    CHECK(inside == 1);
    CHECK(both == 2);
    CHECK(alive == 0);
}
