// SPDX-License-Identifier: MIT
// A million times a goroutine is made to give way by a signal, in code that has a value in every
// register. It is a timer's signal, which comes at once: sysmon's would come every 10 ms.
#include "test/support/fixture.h"

#include <atomic>
#include <cstdint>
#include <cstring>

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <pirn/debug.h>
#include <pirn/runtime.h>
#include <pirn/sleep.h>

#include "every_register.h"
#include "runtime/base/rand.h"
#include "runtime/sched.h"
#include "runtime/self.h"

using namespace pirn;
using namespace pirn::test;

#if defined(PIRN_SPLIT) && !defined(PIRN_ASAN) && !defined(PIRN_TSAN)

namespace {

std::atomic<bool> stopped{false};

// Sends the calling thread the signal of preemption in a moment, and has the P ask for it as sysmon
// would. The signal has no mark, and is answered all the same (runtime/preempt.cc).
class asker {
  public:
    asker() : tid_(::gettid()) {
        sigevent to{};
        to.sigev_notify = SIGEV_THREAD_ID;
        to.sigev_signo = SIGURG;
        to._sigev_un._tid = tid_;  // sigev_notify_thread_id, which glibc has no name for
        made_ = ::timer_create(CLOCK_MONOTONIC, &to, &timer_) == 0;
    }
    ~asker() {
        if (made_) ::timer_delete(timer_);
    }
    asker(const asker&) = delete;

    // False where it cannot: the goroutine has come to another thread.
    bool ask() {
        if (!made_ || ::gettid() != tid_) return false;
        // When the registers have their values, as near as that can be had.
        const itimerspec soon{{0, 0}, {0, stack::emulated() ? 100'000 : 2000}};
        rt::p* pp = rt::self()->cpu;
        pp->asked_at.store(pp->switches.get(), std::memory_order_relaxed);
        pp->attention.store(true, std::memory_order_relaxed);
        return ::timer_settime(timer_, 0, &soon, nullptr) == 0;
    }

  private:
    timer_t timer_{};
    int tid_;
    bool made_;
};

// Once with fresh values, while the signal comes; whether all came back.
bool holds(base::rand& random, asker& signal, bool& asked) {
    const std::uint64_t spins = stack::emulated() ? 200'000 : 10'000;
    stress::register_file file{};
    for (int i = 0; i < stress::k_generals; ++i)
        file.general[i] = std::uint64_t{random.next()} << 32 | random.next();
    for (auto& v : file.vector)
        for (unsigned char& byte : v) byte = static_cast<unsigned char>(random.next());
    stress::prepare(file);
    const stress::register_file before = file;
    asked = signal.ask();
    stress::hold_every_register(&file, spins);
    return std::memcmp(file.general, before.general, 8 * stress::k_generals) == 0 &&
           std::memcmp(file.vector, before.vector, sizeof file.vector) == 0 &&
           stress::flags_kept(file);
}

}  // namespace

TEST_CASE("no register is lost in a million preemptions") {
    for (const int procs : {1, 2}) {
        CAPTURE(procs);
        // An emulator takes milliseconds for each.
        const auto enough =
            static_cast<std::uint64_t>(stack::emulated() ? 5000 : at_full_speed(500'000));
        const int hogs = 3 * procs;
        std::atomic<int> wrong{0}, ended{0}, refused{0};
        std::atomic<std::uint64_t> held{0};
        std::uint64_t switches = 0;
        stopped = false;
        run([&] {
            const std::uint64_t before = runtime_stats().switches;
            for (int i = 0; i < hogs; ++i) {
                go([&, i] {
                    base::rand random(static_cast<std::uint64_t>(i) + 1);
                    asker signal;  // of this thread, which it stays on: it does not park
                    while (!stopped.load(std::memory_order_relaxed)) {
                        bool asked = false;
                        if (!holds(random, signal, asked)) ++wrong;
                        if (!asked) ++refused;
                        ++held;
                    }
                    ++ended;
                });
            }
            // Hogs never park: each switch is a preemption, but for those of this goroutine, which
            // are few.
            while (switches < enough && refused == 0) {
                sleep_for(std::chrono::milliseconds(20));
                switches = runtime_stats().switches - before;
            }
            stopped = true;
            while (ended < hogs) sleep_for(std::chrono::milliseconds(1));
        }, {.procs = procs});
        CHECK(refused == 0);
        CHECK(wrong == 0);
        CHECK(switches >= enough);
        WARN(switches << " switches on " << procs << ", all registers held " << held << " times");
    }
}

#endif
