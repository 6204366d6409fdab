// SPDX-License-Identifier: MIT
// What dlopened.cc loads: a shared object with a run time of its own.
#include <stdexcept>

#include <pirn/chan.h>
#include <pirn/mutex.h>
#include <pirn/runtime.h>
#include <pirn/sleep.h>
#include <pirn/wait_group.h>

namespace {

int runs = 0;

// Does not fit on a small stack.
[[gnu::noinline]] int with_large_frame(int n) {
    volatile char frame[50'000];
    frame[0] = static_cast<char>(n);
    frame[sizeof frame - 1] = 0;
    if (n < 0) throw std::runtime_error("negative");
    return n + frame[sizeof frame - 1];
}

}  // namespace

// The sum of 1 to n, by as many goroutines.
extern "C" [[gnu::visibility("default")]] int plugin_sum(int n) {
    ++runs;
    return pirn::run([n] {
        const auto parts = pirn::make_chan<int>();
        pirn::wait_group wg;
        for (int i = 1; i <= n; ++i) {
            wg.go([=] {
                if (i % 8 == 0) pirn::sleep_for(std::chrono::microseconds(100));
                try {
                    with_large_frame(-i);
                } catch (const std::runtime_error&) {
                    parts.send(with_large_frame(i));
                }
            });
        }
        int sum = 0;
        for (int i = 0; i < n; ++i) sum += parts.recv().value_or(0);
        wg.wait();
        return sum;
    });
}
extern "C" [[gnu::visibility("default")]] int plugin_runs() { return runs; }
