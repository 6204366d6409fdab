// SPDX-License-Identifier: MIT
// recursive_mutex: a mutex, and the name of its owner. Whoever reads its own name there has written
// it, so that nothing but the mutex orders anything.
#include <pirn/recursive_mutex.h>

#include <cstdint>

#include <pthread.h>

#include <pirn/debug.h>

#include "runtime/base/check.h"

namespace pirn {
namespace {

// Odd for goroutines; even, an address, for threads.
std::uint64_t caller() {
    if (const std::uint64_t id = goroutine_id(); id != 0) return id << 1 | 1;
    return static_cast<std::uint64_t>(::pthread_self());
}

}  // namespace

bool recursive_mutex::lock_again() {
    // Relaxed: see above.
    if (owner_.load(std::memory_order_relaxed) != caller()) return false;
    PIRN_CHECK(depth_ != UINT32_MAX);
    ++depth_;
    return true;
}

bool recursive_mutex::took(bool locked) {
    if (!locked) return false;
    owner_.store(caller(), std::memory_order_relaxed);
    depth_ = 1;
    return true;
}

void recursive_mutex::lock() {
    if (lock_again()) return;
    mutex_.lock();
    took(true);
}

bool recursive_mutex::try_lock() { return lock_again() || took(mutex_.try_lock()); }

void recursive_mutex::unlock() {
    if (owner_.load(std::memory_order_relaxed) != caller())
        base::fatal("sync: unlock of recursive_mutex by another than its owner");
    if (--depth_ != 0) return;
    owner_.store(0, std::memory_order_relaxed);
    mutex_.unlock();
}

}  // namespace pirn
