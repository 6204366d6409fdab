// SPDX-License-Identifier: MIT
// What C++ keeps for each thread and a goroutine takes along.
#include "test/support/fixture.h"

#include <atomic>
#include <cerrno>
#include <cfenv>
#include <chrono>
#include <cstdint>
#include <exception>
#include <stdexcept>
#include <string>

#include <unistd.h>

#include <pirn/debug.h>
#include <pirn/runtime.h>
#include <pirn/sleep.h>

using namespace pirn;
using namespace pirn::test;

TEST_CASE("G23 exceptions in hand stay with their goroutine, over yields and Ms") {
    on_procs([](int procs) {
        std::atomic<int> wrong{0}, done{0};
        run([&] {
            for (int i = 0; i < 100; ++i) {
                go([&, i] {
                    for (int round = 0; round < 20; ++round) {
                        try {
                            throw std::runtime_error(std::to_string(i));
                        } catch (const std::exception& e) {
                            yield();
                            try {
                                yield();
                                throw i;
                            } catch (int n) {
                                yield();
                                if (n != i) ++wrong;
                            }
                            if (e.what() != std::to_string(i)) ++wrong;
                            yield();
                            try {
                                std::rethrow_exception(std::current_exception());
                            } catch (const std::runtime_error& again) {
                                if (again.what() != std::to_string(i)) ++wrong;
                            }
                        }
                        if (std::current_exception()) ++wrong;
                    }
                    ++done;
                });
            }
            wait_until([&] { return done == 100; });
        }, {.procs = procs});
        CHECK(wrong == 0);
    });
}

namespace {

// Parks while its scope is being unwound.
struct parks_in_destructor {
    std::atomic<int>* wrong;
    ~parks_in_destructor() {
        if (std::uncaught_exceptions() != 1) ++*wrong;
        yield();
        if (std::uncaught_exceptions() != 1) ++*wrong;
        sleep_for(std::chrono::microseconds(50));
        if (std::uncaught_exceptions() != 1) ++*wrong;
    }
};

}  // namespace

TEST_CASE("G23 uncaught_exceptions counts the goroutine's own") {
    on_procs([](int procs) {
        std::atomic<int> wrong{0}, done{0};
        run([&] {
            for (int i = 0; i < 50; ++i) {
                go([&] {
                    if (std::uncaught_exceptions() != 0) ++wrong;
                    try {
                        parks_in_destructor p{&wrong};
                        throw 1;
                    } catch (int) {
                    }
                    if (std::uncaught_exceptions() != 0) ++wrong;
                    ++done;
                });
                go([&] {
                    for (int k = 0; k < 10; ++k) {
                        yield();
                        if (std::uncaught_exceptions() != 0) ++wrong;
                    }
                    ++done;
                });
            }
            wait_until([&] { return done == 100; });
        }, {.procs = procs});
        CHECK(wrong == 0);
    });
}

namespace {

// Yields until the calling goroutine has come to another thread; false if that takes too long.
bool come_to_another_thread() {
    const int from = ::gettid();
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    for (int i = 0; ::gettid() == from; ++i) {
        if (std::chrono::steady_clock::now() > end) return false;
        if (i % 8 == 7)
            sleep_for(std::chrono::microseconds(50));
        else
            yield();
    }
    return true;
}

struct moves_in_destructor {
    std::atomic<int>*wrong, *moved;
    ~moves_in_destructor() {
        if (come_to_another_thread()) ++*moved;
        if (std::uncaught_exceptions() != 1) ++*wrong;
    }
};

}  // namespace

TEST_CASE("G23 an exception in hand, or on its way, goes along to another thread") {
    on_procs([](int procs) {
        if (procs == 1) return;
        std::atomic<int> wrong{0}, moved{0}, done{0};
        const int goroutines = 4 * procs;
        constexpr int k_rounds = 5;
        run([&] {
            for (int i = 0; i < goroutines; ++i) {
                go([&, i] {
                    const std::string mine = std::to_string(i);
                    for (int round = 0; round < k_rounds; ++round) {
                        try {
                            moves_in_destructor on_the_way{&wrong, &moved};
                            throw std::runtime_error(mine);
                        } catch (const std::runtime_error& e) {
                            if (come_to_another_thread()) ++moved;
                            try {
                                throw;
                            } catch (const std::runtime_error& again) {
                                if (&again != &e || again.what() != mine) ++wrong;
                            }
                            if (std::uncaught_exceptions() != 0) ++wrong;
                        }
                        if (std::current_exception()) ++wrong;
                    }
                    ++done;
                });
            }
            wait_until([&] { return done == goroutines; });
        }, {.procs = procs});
        CHECK(wrong == 0);
        CHECK(moved > 0);
    });
}

TEST_CASE("G21 a panic is its own goroutine's to catch") {
    on_procs([](int procs) {
        std::atomic<int> caught{0}, elsewhere{0};
        run([&] {
            std::atomic<int> done{0};
            for (int i = 0; i < 50; ++i) {
                try {
                    go([&, i] {
                        try {
                            yield();
                            throw panic(std::to_string(i));
                        } catch (const panic& p) {
                            yield();
                            if (p.what() == std::to_string(i)) ++caught;
                        }
                        ++done;
                    });
                    // What looks for one meanwhile finds none.
                    go([&] {
                        try {
                            for (int k = 0; k < 5; ++k) {
                                yield();
                                if (std::current_exception()) ++elsewhere;
                            }
                        } catch (...) {
                            ++elsewhere;
                        }
                        ++done;
                    });
                    yield();
                } catch (...) {
                    ++elsewhere;
                }
            }
            wait_until([&] { return done == 100; });
        }, {.procs = procs});
        CHECK(caught == 50);
        CHECK(elsewhere == 0);
    });
}

namespace {

// Throws and catches while another exception is on its way.
struct throws_inside {
    std::string* order;
    ~throws_inside() {
        *order += std::to_string(std::uncaught_exceptions());
        try {
            const defer last{[this] { *order += std::to_string(std::uncaught_exceptions()); }};
            yield();
            throw panic("inner");
        } catch (const panic& p) {
            yield();
            *order += p.what()[0];
        }
        *order += std::to_string(std::uncaught_exceptions());
    }
};

// Gives what it did in order, with yields wherever something is in hand.
std::string nested_panics() {
    std::string order;
    try {
        const defer outermost{[&] { order += "]"; }};
        try {
            const defer outer{[&] { order += ")"; }};
            const throws_inside inner{&order};
            throw panic("outer");
        } catch (const panic& p) {
            order += p.what()[0];
            yield();
            try {
                throw panic("replaced");
            } catch (const panic& q) {
                yield();
                order += q.what()[0];
            }
            // The outer one is in hand again.
            try {
                std::rethrow_exception(std::current_exception());
            } catch (const panic& again) {
                order += again.what()[0];
            }
            yield();
            throw panic("thrown by the handler");
        }
    } catch (const panic& p) {
        order += p.what()[0];
    }
    return order;
}

}  // namespace

TEST_CASE("G22 panics inside panics run in order and come back to the outer one") {
    on_procs([](int procs) {
        std::atomic<int> right{0};
        run([&] {
            std::atomic<int> done{0};
            for (int i = 0; i < 50; ++i) {
                go([&] {
                    if (nested_panics() == "12i1)oro]t") ++right;
                    ++done;
                });
            }
            wait_until([&] { return done == 50; });
        }, {.procs = procs});
        CHECK(right == 50);
    });
}

TEST_CASE("run inside a catch block leaves its exception in hand") {
    try {
        throw std::runtime_error("outer");
    } catch (const std::exception&) {
        bool none = false;
        run([&] { none = std::current_exception() == nullptr; }, {.procs = 2});
        CHECK(none);
        CHECK_THROWS_WITH(throw, "outer");
    }
}

namespace {
// Out of line, so that the address of errno is asked for anew each time; compilers take
// errno's accessor as constant within a function.
[[gnu::noinline]] void set_errno(int e) {
    errno = e;
    asm volatile("" ::: "memory");
}
[[gnu::noinline]] int get_errno() {
    asm volatile("" ::: "memory");
    return errno;
}
}  // namespace

TEST_CASE("G24 errno stays with its goroutine") {
    on_procs([](int procs) {
        std::atomic<int> wrong{0}, done{0};
        run([&] {
            for (int i = 1; i <= 50; ++i) {
                go([&, i] {
                    set_errno(i);
                    for (int k = 0; k < 50; ++k) {
                        yield();
                        if (get_errno() != i) ++wrong;
                    }
                    ++done;
                });
            }
            wait_until([&] { return done == 50; });
        }, {.procs = procs});
        CHECK(wrong == 0);
    });
}

TEST_CASE("G24 errno goes along to another thread") {
    on_procs([](int procs) {
        if (procs == 1) return;
        std::atomic<int> wrong{0}, moved{0}, done{0};
        const int goroutines = 4 * procs;
        run([&] {
            for (int i = 1; i <= goroutines; ++i) {
                go([&, i] {
                    for (int round = 0; round < 5; ++round) {
                        set_errno(i);
                        if (come_to_another_thread()) ++moved;
                        if (get_errno() != i) ++wrong;
                    }
                    ++done;
                });
            }
            wait_until([&] { return done == goroutines; });
        }, {.procs = procs});
        CHECK(wrong == 0);
        CHECK(moved > 0);
    });
}

namespace {

// Works on more values than there are registers that a call preserves; between any two steps it may
// yield.
[[gnu::noinline]] std::uint64_t churn(std::uint64_t seed, int rounds, bool yields) {
    std::uint64_t a = seed, b = seed + 1, c = seed + 2, d = seed + 3, e = seed + 4, f = seed + 5;
    double r = 1, s = 2, t = 3, u = 4, v = 5, w = 6, x = 7, y = 8;
    for (int i = 0; i < rounds; ++i) {
        a = a * 31 + b;
        b = b * 37 + c;
        c ^= d >> 3;
        d += e * 5;
        e = (e << 1 | e >> 63) ^ f;
        f += a;
        r = r * 0.5 + static_cast<double>(a >> 48);
        s = s * 0.5 + r;
        t = t * 0.25 + s;
        u = u * 0.5 - t;
        v = v * 0.25 + u;
        w = w * 0.5 + v;
        x = x * 0.25 - w;
        y = y * 0.5 + x;
        if (yields) yield();
    }
    const double sum = r + s + t + u + v + w + x + y;
    return a ^ b ^ c ^ d ^ e ^ f ^ static_cast<std::uint64_t>(static_cast<std::int64_t>(sum));
}

}  // namespace

TEST_CASE("G25 registers and control words are the same after a million switches") {
    on_procs([](int procs) {
        const int goroutines = 4 * procs, rounds = at_full_speed(1'000'000) / goroutines;
        std::atomic<int> wrong{0}, done{0};
        std::uint64_t switches = 0;
        run([&] {
            const int rounding = std::fegetround(), trapping = ::fegetexcept();
            for (int i = 0; i < goroutines; ++i) {
                go([&, i] {
                    const auto seed = static_cast<std::uint64_t>(i);
                    const std::uint64_t expected = churn(seed, rounds, false);
                    if (churn(seed, rounds, true) != expected) ++wrong;
                    if (std::fegetround() != rounding || ::fegetexcept() != trapping) ++wrong;
                    ++done;
                });
            }
            wait_until([&] { return done == goroutines; });
            switches = runtime_stats().switches;
        }, {.procs = procs});
        CHECK(wrong == 0);
        CHECK(switches >= static_cast<std::uint64_t>(rounds) * 3 / 4);
    });
}
