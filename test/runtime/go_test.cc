// SPDX-License-Identifier: MIT
// Starting goroutines: closures, arguments, counts, ids, errors.
#include "test/support/fixture.h"
#include "test/support/mailbox.h"

#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <thread>

#include <execinfo.h>

#include <pirn/debug.h>
#include <pirn/runtime.h>
#include <pirn/sleep.h>

using namespace pirn;
using namespace pirn::test;

TEST_CASE("run returns the main function's int, 0 for void, and may be called again") {
    on_procs([](int procs) {
        CHECK(run([] { return 7; }, {.procs = procs}) == 7);
        CHECK(run([] {}, {.procs = procs}) == 0);
        int calls = 0;
        for (int i = 0; i < 20; ++i) run([&] { ++calls; }, {.procs = procs});
        CHECK(calls == 20);
    });
}

TEST_CASE("G01 what was written before go is visible in the goroutine") {
    on_procs([](int procs) {
        std::atomic<int> wrong{0};
        run([&] {
            for (int i = 0; i < 1000; ++i) {
                int plain = i;
                std::atomic<bool> done{false};
                go([&] {
                    if (plain != i) ++wrong;
                    done = true;
                });
                wait_until([&] { return done.load(); });
            }
        }, {.procs = procs});
        CHECK(wrong == 0);
    });
}

TEST_CASE("G02 arguments are evaluated and copied by the spawner") {
    on_procs([](int procs) {
        std::atomic<int> sum{0};
        run([&] {
            int i = 1;
            const auto f = [&sum](int a, std::string s) { sum += a + static_cast<int>(s.size()); };
            go(f, i++, "four");
            i = 100;
            wait_until([&] { return sum != 0; });
        }, {.procs = procs});
        CHECK(sum == 5);
    });
}

namespace {

// Counts its copies and moves.
struct counted {
    std::atomic<int>* copies;
    std::atomic<int>* alive;
    counted(std::atomic<int>* c, std::atomic<int>* a) : copies(c), alive(a) { ++*alive; }
    counted(const counted& o) : copies(o.copies), alive(o.alive) {
        ++*copies;
        ++*alive;
    }
    counted(counted&& o) noexcept : copies(o.copies), alive(o.alive) { ++*alive; }
    ~counted() { --*alive; }
};

struct alignas(128) wide {
    char bytes[256];
};

struct member {
    std::atomic<int> n{0};
    void add(int k) { n += k; }
};

std::atomic<int> plain_calls{0};
void plain_function() { ++plain_calls; }

}  // namespace

TEST_CASE("go decays and moves like std::thread") {
    on_procs([](int procs) {
        std::atomic<int> copies{0}, alive{0}, ran{0};
        plain_calls = 0;
        member object;
        run([&] {
            {
                counted c(&copies, &alive);
                go([&ran](const counted&) { ++ran; }, c);             // copied once
                go([&ran](counted&&) { ++ran; }, std::move(c));       // moved
                go([&ran, c] { ++ran; });                             // copied by the capture
            }
            auto p = std::make_unique<int>(3);
            go([&ran](std::unique_ptr<int> q) { ran += *q - 2; }, std::move(p));
            int x = 1;
            go([&ran](int& r) { r = 2; ++ran; }, std::ref(x));
            go(plain_function);
            go(&member::add, &object, 4);
            wait_until([&] { return ran == 5 && plain_calls == 1 && object.n == 4; });
            wait_until([&] { return num_goroutine() == 1; });
            if (x != 2) ran = -1;
        }, {.procs = procs});
        CHECK(ran == 5);
        CHECK(copies == 2);
        CHECK(alive == 0);
    });
}

TEST_CASE("closures of every size and alignment arrive whole") {
    on_procs([](int procs) {
        std::atomic<int> right{0};
        run([&] {
            wide w{};
            for (int i = 0; i < 256; ++i) w.bytes[i] = static_cast<char>(i);
            go([&right, w] {
                bool ok = reinterpret_cast<std::uintptr_t>(&w) % 128 == 0;
                for (int i = 0; i < 256; ++i) ok = ok && w.bytes[i] == static_cast<char>(i);
                if (ok) ++right;
            });
            struct { char b[64]; } exact{};
            exact.b[63] = 9;
            go([&right, exact] { if (exact.b[63] == 9) ++right; });
            struct { char b[40000]; } large{};
            large.b[39999] = 8;
            go([&right, large] { if (large.b[39999] == 8) ++right; });
            wait_until([&] { return right == 3; });
        }, {.procs = procs});
        CHECK(right == 3);
    });
}

TEST_CASE("a closure whose move throws still runs and is destroyed once") {
    struct fragile {
        std::atomic<int>* alive;
        explicit fragile(std::atomic<int>* a) : alive(a) { ++*alive; }
        fragile(const fragile& o) : alive(o.alive) { ++*alive; }
        fragile(fragile&& o) noexcept(false) : alive(o.alive) { ++*alive; }
        ~fragile() { --*alive; }
    };
    on_procs([](int procs) {
        std::atomic<int> alive{0}, ran{0};
        run([&] {
            go([f = fragile(&alive), &ran] { ++ran; });
            wait_until([&] { return ran == 1 && alive == 0; });
        }, {.procs = procs});
        CHECK(alive == 0);
    });
}

TEST_CASE("a closure whose copy throws is not started, and nothing is lost") {
    struct thrower {
        thrower() = default;
        thrower(const thrower&) { throw std::runtime_error("copy"); }
        thrower(thrower&&) noexcept(false) {}
        void operator()() {}
    };
    on_procs([](int procs) {
        int caught = 0;
        run([&] {
            thrower t;
            for (int i = 0; i < 1000; ++i) {
                try {
                    go(t);
                } catch (const std::runtime_error&) {
                    ++caught;
                }
            }
            if (num_goroutine() != 1) caught = -1;
        }, {.procs = procs});
        CHECK(caught == 1000);
    });
}

TEST_CASE("G07 a hundred thousand goroutines end") {
    on_procs([](int procs) {
        std::atomic<int> n{0};
        run([&] {
            for (int i = 0; i < 100'000; ++i)
                go([&n] { n.fetch_add(1, std::memory_order_relaxed); });
            wait_until([&] { return n == 100'000; });
        }, {.procs = procs});
        CHECK(n == 100'000);
    });
}

TEST_CASE("G07 a million goroutines park and wake, a hundred thousand at a time") {
    on_procs([](int procs) {
        const int rounds = 10, at_once = at_full_speed(100'000);
        const auto boxes = std::make_unique<mailbox[]>(static_cast<std::size_t>(at_once));
        std::uint64_t woken = 0;
        run([&] {
            for (int round = 0; round < rounds; ++round) {
                std::atomic<int> awake{0};
                const std::uint64_t parks_before = runtime_stats().parks;
                for (int i = 0; i < at_once; ++i) {
                    go([&awake, box = &boxes[static_cast<std::size_t>(i)]] {
                        box->take();
                        awake.fetch_add(1, std::memory_order_relaxed);
                    });
                }
                const auto all = static_cast<std::uint64_t>(at_once);
                wait_until([&] { return runtime_stats().parks - parks_before >= all; });
                if (awake != 0) break;
                for (int i = 0; i < at_once; ++i) boxes[static_cast<std::size_t>(i)].put();
                wait_until([&] { return awake == at_once; });
                woken += all;
            }
            wait_until([] { return num_goroutine() == 1; });
        }, {.procs = procs});
        CHECK(woken == static_cast<std::uint64_t>(rounds) * static_cast<std::uint64_t>(at_once));
    });
}

TEST_CASE("G08 a chain of goroutines, each started by the one before, ten thousand deep") {
    on_procs([](int procs) {
        std::atomic<int> depth{0};
        run([&] {
            struct link {
                std::atomic<int>* depth;
                void operator()() const {
                    if (++*depth < 10'000) go(link{depth});
                }
            };
            go(link{&depth});
            wait_until([&] { return depth == 10'000; });
        }, {.procs = procs});
        CHECK(depth == 10'000);
    });
}

TEST_CASE("G08 ten thousand goroutines, each waiting for the one that it has started") {
    on_procs([](int procs) {
        constexpr int k_depth = 10'000;
        int came_back = 0;
        std::size_t alive = 0;
        run([&] {
            struct link {
                std::atomic<int>* passed;
                mailbox* back;
                int depth;
                void operator()() const {
                    if (depth < k_depth) {
                        mailbox from_next;
                        go(link{passed, &from_next, depth + 1});
                        from_next.take();
                    } else {
                        passed->store(static_cast<int>(num_goroutine()));
                    }
                    back->put();
                }
            };
            std::atomic<int> seen{0};
            mailbox last;
            go(link{&seen, &last, 1});
            last.take();
            ++came_back;
            alive = static_cast<std::size_t>(seen.load());
            wait_until([] { return num_goroutine() == 1; });
        }, {.procs = procs});
        CHECK(came_back == 1);
        CHECK(alive == k_depth + 1);
    });
}

TEST_CASE("G09 num_goroutine counts the main one and those that have not ended") {
    CHECK(num_goroutine() == 0);
    on_procs([](int procs) {
        std::vector<std::size_t> seen;
        run([&] {
            seen.push_back(num_goroutine());
            std::atomic<bool> stop{false};
            for (int i = 0; i < 10; ++i) go([&] { wait_until([&] { return stop.load(); }); });
            seen.push_back(num_goroutine());
            stop = true;
            wait_until([] { return num_goroutine() == 1; });
            seen.push_back(num_goroutine());
        }, {.procs = procs});
        CHECK(seen == std::vector<std::size_t>{1, 11, 1});
    });
}

TEST_CASE("goroutine ids are unique and stay") {
    CHECK(goroutine_id() == 0);
    on_procs([](int procs) {
        std::atomic<int> done{0}, changed{0};
        std::vector<std::uint64_t> ids(500);
        run([&] {
            ids[0] = goroutine_id();
            for (std::size_t i = 1; i < ids.size(); ++i) {
                go([&, i] {
                    ids[i] = goroutine_id();
                    yield();
                    if (goroutine_id() != ids[i]) ++changed;
                    ++done;
                });
            }
            wait_until([&] { return done == 499; });
        }, {.procs = procs});
        CHECK(changed == 0);
        CHECK(std::set<std::uint64_t>(ids.begin(), ids.end()).size() == ids.size());
        CHECK(ids[0] != 0);
    });
}

TEST_CASE("G30 go works from a thread of the program's own") {
    on_procs([](int procs) {
        std::atomic<int> n{0};
        run([&] {
            std::vector<std::thread> threads;
            for (int t = 0; t < 4; ++t) {
                threads.emplace_back([&] {
                    for (int i = 0; i < 1000; ++i) go([&] { ++n; });
                });
            }
            wait_until([&] { return n == 4000; });
            for (auto& t : threads) t.join();
        }, {.procs = procs});
        CHECK(n == 4000);
    });
}

TEST_CASE("misuse is a panic that says what is wrong") {
    CHECK_THROWS_WITH(go([] {}), Catch::Contains("outside any runtime"));
    CHECK_THROWS_AS(go([] {}), panic);
    CHECK_THROWS_AS(goexit(), panic);
    CHECK_THROWS_AS(maxprocs(2), panic);
    on_procs([](int procs) {
        std::string said, said_outside;
        run([&] {
            try {
                run([] {});
            } catch (const panic& e) {
                said = e.what();
            }
            std::thread([&] {
                try {
                    run([] {});
                } catch (const panic& e) {
                    said_outside = e.what();
                }
            }).join();
        }, {.procs = procs});
        CHECK(said.find("inside a runtime") != std::string::npos);
        CHECK(said_outside.find("running already") != std::string::npos);
    });
}

namespace {

// The number of frames, from a call so much deeper; 0 if the walk does not end by itself.
[[gnu::noinline]] int frames_from(int depth) {
    volatile char room[100];
    room[0] = 0;
    if (depth > 0) return frames_from(depth - 1) + room[0];
    void* frames[512];
    const int n = ::backtrace(frames, 512);
    return (n < 512 ? n : 0) + room[0];
}

// Hops, wherever it is called.
[[gnu::noinline]] int frames_from_large(int depth) {
    volatile char room[100'000];
    room[0] = 0;
    room[sizeof room - 1] = room[0];
    return frames_from(depth) + room[sizeof room - 1];
}

}  // namespace

TEST_CASE("G28 a backtrace of a goroutine ends at its entry") {
    on_procs([](int procs) {
        std::atomic<int> at_entry{0}, deep{0}, after_hop{0}, of_main{0};
        run([&] {
            of_main = frames_from(0);
            go([&] {
                at_entry = frames_from(0);
                deep = frames_from(100);
                after_hop = frames_from_large(100);
            });
            wait_until([&] { return after_hop != 0 || num_goroutine() == 1; });
        }, {.procs = procs});
        // frames_from, the closure, and what calls that.
        CHECK(at_entry >= 2);
        CHECK(at_entry <= 16);
        CHECK(of_main <= 32);
        CHECK(of_main >= 2);
        CHECK(deep >= at_entry + 100);
        CHECK(after_hop >= deep + 1);
    });
}

TEST_CASE("G27 stacks are aligned at the entry, and a large frame is reached by every page") {
    on_procs([](int procs) {
        std::atomic<int> right{0}, touched{0};
        run([&] {
            for (int i = 0; i < 100; ++i) {
                go([&] {
                    alignas(16) volatile char here[16];
                    here[0] = 1;
                    // What the compiler takes for granted; through a register, or it would know.
                    auto at = reinterpret_cast<std::uintptr_t>(here);
                    asm volatile("" : "+r"(at));
                    auto frame = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
                    asm volatile("" : "+r"(frame));
                    if (at % 16 == 0 && frame % 16 == 0) ++right;
                });
            }
            go([&] {
                constexpr std::size_t k_bytes = 1 << 20;
                volatile char large[k_bytes];
                for (std::size_t at = 0; at < k_bytes; at += 4096) large[k_bytes - 1 - at] = 1;
                int sum = 0;
                for (std::size_t at = 0; at < k_bytes; at += 4096) sum += large[k_bytes - 1 - at];
                touched = sum;
            });
            wait_until([&] { return right == 100 && touched != 0; });
        }, {.procs = procs});
        CHECK(touched == 256);
    });
}

TEST_CASE("go_options: a stack of the size asked for") {
    on_procs([](int procs) {
        std::atomic<int> used{0};
        run([&] {
            go({.name = "deep", .stack = 2u << 20}, [&] {
                volatile char frame[1'500'000];
                frame[0] = 1;
                frame[sizeof frame - 1] = 2;
                used = frame[0] + frame[sizeof frame - 1];
            });
            wait_until([&] { return used != 0; });
        }, {.procs = procs});
        CHECK(used == 3);
    });
}

TEST_CASE("defer runs last in first out, whatever way the scope ends") {
    std::string order;
    try {
        defer a{[&] { order += 'a'; }};
        defer b{[&] { order += 'b'; }};
        throw 1;
    } catch (int) {
        order += 'c';
    }
    CHECK(order == "bac");
    CHECK_THROWS_AS([] { defer d{[] { throw panic("from a defer"); }}; }(), panic);
}
