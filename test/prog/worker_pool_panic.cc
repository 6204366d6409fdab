// SPDX-License-Identifier: MIT
// EXPECT status 0
// EXPECT stderr: GOPOOL: panic in pool: requests: bad request
// EXPECT stderr: goroutine
// EXPECT stderr: "requests" [running]:
// EXPECT stderr: bad_request
// EXPECT stderr: requests: exception of type int
// EXPECT stderr: "requests" [running]:
// EXPECT stdout: 3 tasks ran, 2 panics
// EXPECT not stderr: handled
// Without a handler, an exception that leaves a task is reported with the pool's name and the
// frames of who threw it, and counted; the worker goes on. One that the task catches is nobody's
// business.
#include <cstdio>
#include <stdexcept>

#include <pirn/runtime.h>
#include <pirn/wait_group.h>
#include <pirn/worker_pool.h>

namespace {

[[gnu::noinline]] void bad_request() { throw std::runtime_error("bad request"); }

}  // namespace

int main() {
    return pirn::run([] {
        pirn::worker_pool pool("requests", 1);
        pirn::wait_group wg;
        wg.add(3);
        int ran = 0;
        const auto task = [&](int n) {
            const pirn::defer done([&] { wg.done(); });
            ++ran;
            try {
                throw std::runtime_error("handled");
            } catch (const std::exception&) {
            }
            if (n == 0) bad_request();
            if (n == 1) throw 1;
        };
        for (int n = 0; n < 3; ++n) pool.go([&, n] { task(n); });
        wg.wait();
        std::printf("%d tasks ran, %d panics\n", ran, static_cast<int>(pool.panic_count()));
    });
}
