// SPDX-License-Identifier: MIT
// worker_pool's forms with a context: the panic handler is given that of the task.
#include <pirn/context.h>
#include <pirn/worker_pool.h>

#include <mutex>
#include <set>
#include <stdexcept>
#include <string>

#include "test/chan/verdict.h"

using namespace pirn::test;

namespace {

constexpr pirn::context_key<std::string> k_request;

}  // namespace

TEST_CASE("a worker pool's panic handler is given the task's context") {
    in_run([](verdict& v) {
        pirn::worker_pool pool("contexts", 2);
        std::mutex mutex;
        std::multiset<std::string> seen;
        pool.set_panic_handler([&](pirn::context ctx, std::exception_ptr thrown) {
            const std::lock_guard hold(mutex);
            const std::string* request = ctx.value(k_request);
            const std::string of = request != nullptr          ? *request
                                   : ctx == pirn::background() ? "background"
                                                               : "?";
            try {
                std::rethrow_exception(thrown);
            } catch (const std::exception& e) {
                seen.insert(of + ": " + e.what());
            }
        });
        const pirn::context ctx = pirn::with_value(pirn::background(), k_request, "seven");
        std::atomic<int> ran{0};
        pool.go(ctx, [&] {
            ++ran;
            throw std::runtime_error("thrown");
        });
        pool.go(pirn::with_value(ctx, k_request, "eight"), [&, c = counted(1)] {
            ++ran;
            throw std::logic_error("thrown");
        });
        pool.go(ctx, [&] { ++ran; });
        pool.go([&] {
            ++ran;
            throw std::runtime_error("bare");
        });
        UNTIL(pool.worker_count() == 0);
        EXPECT(ran == 4 && counted::alive == 0 && pool.panic_count() == 3);
        EXPECT((seen == std::multiset<std::string>{"background: bare", "eight: thrown",
                                                   "seven: thrown"}));
        // A handler that wants none.
        std::atomic<int> handled{0};
        pool.set_panic_handler([&](std::exception_ptr) { ++handled; });
        pool.go(ctx, [] { throw 1; });
        UNTIL(handled == 1);
        // goexit is no panic.
        pool.go(ctx, [] { pirn::goexit(); });
        UNTIL(pool.worker_count() == 0);
        EXPECT(handled == 1);
        pool.close();
        EXPECT(panic_of([&] { pool.go(ctx, [] {}); }) == "use closed pool");
    });
}
