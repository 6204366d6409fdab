// SPDX-License-Identifier: MIT
// The slow sides of lock and note: futexes.
#include "runtime/lock.h"

#include <cerrno>
#include <climits>
#include <ctime>

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "arch/arch.h"
#include "runtime/base/check.h"
#include "runtime/base/clock.h"
#include "runtime/park.h"

namespace pirn::rt {
namespace {

// Blocks while *address == value, until the absolute monotonic deadline.
void futex_wait(std::uint32_t* address, std::uint32_t value, std::int64_t deadline_ns) {
    timespec t{};
    timespec* timeout = nullptr;
    if (deadline_ns != base::k_never_ns) {
        if (deadline_ns < 0) deadline_ns = 0;
        t.tv_sec = deadline_ns / 1'000'000'000;
        t.tv_nsec = deadline_ns % 1'000'000'000;
        timeout = &t;
    }
    const int saved = errno;
    ::syscall(SYS_futex, address, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, value, timeout, nullptr,
              FUTEX_BITSET_MATCH_ANY);
    errno = saved;
}

void futex_wake(std::uint32_t* address, int n) {
    const int saved = errno;  // the address may be unmapped by now: EFAULT, harmless
    ::syscall(SYS_futex, address, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, n, nullptr, nullptr, 0);
    errno = saved;
}

}  // namespace

void lock::acquire_slow() {
    // The sections are short: a holder that runs is through in less time than a futex call takes.
    // Who has just had the lock has its cache line, and the data that it protects, and mostly wants
    // it again: to look seldom lets each have a batch. Two threads on a buffered channel did 18 ns
    // for a value with it and 70 without, where each operation moved the lines.
    constexpr int k_looks = 10, k_pauses = 10;
    for (int i = 0; i < k_looks; ++i) {
        std::uint32_t expected = k_free;
        // ORD(lock): acquire; pairs with the release in release().
        if (state_.load(std::memory_order_relaxed) == k_free &&
            state_.compare_exchange(expected, k_held, std::memory_order_acquire,
                                    std::memory_order_relaxed))
            return;
        for (int pause = 0; pause < k_pauses; ++pause) arch::pause();
    }
    // ORD(lock): acquire; pairs with the release in release(). From here on the word says that
    // someone sleeps, also while we hold it: a needless wake is better than a lost one.
    while (state_.exchange(k_contended, std::memory_order_acquire) != k_free)
        futex_wait(state_.address(), k_contended, base::k_never_ns);
}

void lock::wake_one(std::uint32_t* address) { futex_wake(address, 1); }

bool note::sleep(std::int64_t deadline_ns) {
    for (;;) {
        // ORD(note): acquire; pairs with the release in wake().
        if (state_.load(std::memory_order_acquire) == k_set) return true;
        if (deadline_ns != base::k_never_ns && base::now_ns() >= deadline_ns) return false;
        futex_wait(state_.address(), k_unset, deadline_ns);
    }
}

void note::wake() {
    std::uint32_t* address = state_.address();
    // ORD(note): release; pairs with the acquire in sleep().
    state_.store(k_set, std::memory_order_release);
    futex_wake(address, 1);
}

}  // namespace pirn::rt
