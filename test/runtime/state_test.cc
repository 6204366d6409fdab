// SPDX-License-Identifier: MIT
// What C++ keeps for each thread and a goroutine takes along.
#include "test/support/fixture.h"

#include <atomic>
#include <cerrno>
#include <exception>
#include <stdexcept>
#include <string>

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
