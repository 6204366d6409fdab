// SPDX-License-Identifier: MIT
// T17: somebody sets the system's clock while timers run. This program's own clock_gettime stands
// in for that; the monotonic clock is the kernel's.
#include <atomic>
#include <chrono>
#include <ctime>

#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <pirn/time.h>

#include "test/chan/verdict.h"

using namespace pirn::test;
using namespace std::chrono_literals;
using steady = pirn::clock;

namespace {

std::atomic<long> step_s{0};

}  // namespace

extern "C" {

__attribute__((no_sanitize("thread"))) int clock_gettime(clockid_t id, timespec* t) noexcept {
    const long result = ::syscall(SYS_clock_gettime, id, t);
    if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)
        t->tv_sec += step_s.load(std::memory_order_relaxed);
    return static_cast<int>(result);
}

__attribute__((no_sanitize("thread"))) int gettimeofday(timeval* t, void*) noexcept {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    t->tv_sec = now.tv_sec;
    t->tv_usec = now.tv_nsec / 1000;
    return 0;
}

}  // extern "C"

TEST_CASE("T17 setting the system's clock does not matter to timers and sleepers") {
    static_assert(steady::is_steady);
    in_run([](verdict& v) {
        for (const long s : {-7200L, 7200L}) {
            const auto day = std::chrono::system_clock::now();
            const auto start = steady::now();
            const auto once = pirn::after(10ms), never = pirn::after(1h);
            const pirn::ticker ticks(5ms);
            const auto called = pirn::make_chan<steady::time_point>(1);
            pirn::after_func(10ms, [called] { called.send(steady::now()); });
            step_s += s;
            // The step is seen by those who ask for the time of day.
            EXPECT(std::chrono::abs(std::chrono::system_clock::now() - day) > 1h);
            pirn::sleep_for(10ms);
            EXPECT(steady::now() - start >= 10ms);
            EXPECT(once.recv().value() - start >= 10ms);
            EXPECT(called.recv().value() - start >= 10ms);
            for (int i = 1; i <= 3; ++i) EXPECT(ticks.c.recv().value() - start >= i * 5ms);
            steady::time_point out;
            EXPECT(never.try_recv(out) == pirn::recv_status::empty);
            // Not by hours late; no more can be promised on a busy machine.
            EXPECT(steady::now() - start < 1min);
        }
    });
}
