// SPDX-License-Identifier: MIT
// Gates of initializers that run once: of static variables, and of flags.
#include "test/runtime/gates_test.h"

#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include <cxxabi.h>
#include <pthread.h>
#include <threads.h>

using namespace __cxxabiv1;
using namespace pirn;
using namespace pirn::test;

#ifdef PIRN_SPLIT

namespace {

std::atomic<int> initialized{0};
std::atomic<bool> may_initialize{false};

int initialize() {
    ++initialized;
    while (!may_initialize) std::this_thread::sleep_for(1ms);
    return 5;
}

int guarded_value() {
    static const int value = initialize();
    return value;
}

struct failing {
    explicit failing(bool fails) {
        if (fails) throw 5;
    }
};

void make_guarded(bool fails) { static const failing value(fails); }

}  // namespace

TEST_CASE("an initializer that runs elsewhere lets others run") {
    pthread_once_t once = PTHREAD_ONCE_INIT;
    once_flag flag = ONCE_FLAG_INIT;
    const auto init = +[] { initialize(); };
    const std::pair<const char*, std::function<void()>> ways[] = {
        {"__cxa_guard_acquire (a static variable)", [] { guarded_value(); }},
        {"pthread_once", [&] { ::pthread_once(&once, init); }},
        {"call_once", [&] { ::call_once(&flag, init); }},
    };
    for (const auto& [name, way] : ways) {
        initialized = 0;
        may_initialize = false;
        std::thread first(way);
        while (initialized == 0) std::this_thread::sleep_for(1ms);
        const auto& same = way;
        try_call({name, [&] {
            same();
            return initialized == 1 && may_initialize;
        }, [&] { may_initialize = true; }});
        first.join();
    }
}

TEST_CASE("an initializer counts as a lock while it runs") {
    std::pair<unsigned, unsigned> in_once, in_guard, after_all{9, 9};
    int caught = 0;
    run([&] {
        std::atomic<bool> done{false};
        go([&] {
            std::once_flag once;
            std::call_once(once, [&] {
                in_once = held();
                yield();
            });
            struct sees {
                explicit sees(std::pair<unsigned, unsigned>& to) {
                    to = held();
                    yield();
                }
            };
            static const sees value(in_guard);
            std::once_flag failing_once;
            try {
                std::call_once(failing_once, [] { throw 4; });
            } catch (int n) {
                caught += n;
            }
            try {
                make_guarded(true);
            } catch (int n) {
                caught += n;
            }
            make_guarded(false);
            after_all = held();
            done = true;
        });
        wait_until([&] { return done.load(); });
    }, {.procs = 1});
    CHECK(in_once.first == 1);
    CHECK(in_once.second == 1);
    CHECK(in_guard.first == 1);
    CHECK(in_guard.second == 0);
    CHECK(after_all.first == 0);
    CHECK(after_all.second == 0);
    CHECK(caught == 9);
}

TEST_CASE("the compiler's calls for a static variable are counted as a lock") {
    using counts = std::vector<unsigned>;
    __guard guard{};
    counts held_then;
    std::vector<int> got;
    const auto see = [&] { held_then.push_back(held().first); };
    try_prompt_calls({
        {"__cxa_guard_abort", [&] {
            got.push_back(__cxa_guard_acquire(&guard));
            see();  // 1
            __cxa_guard_abort(&guard);
            see();  // 0
            return true;
        }},
        {"__cxa_guard_release", [&] {
            got.push_back(__cxa_guard_acquire(&guard));
            see();  // 1
            __cxa_guard_release(&guard);
            see();  // 0
            return true;
        }},
        {"__cxa_guard_acquire", [&] {
            got.push_back(__cxa_guard_acquire(&guard));
            see();  // 0: there is nothing to do
            return true;
        }},
    });
    CHECK(got == std::vector<int>{1, 1, 0});
    CHECK(held_then == counts{1, 0, 1, 0, 0});
}

#endif
