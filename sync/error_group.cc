// SPDX-License-Identifier: MIT
// error_group: a wait_group, the first failure, and the slots of a limit.
//
// The slots' word counts the parts that run, and has a bit that says that there are waiters, set by
// a waiter and cleared by whoever takes the last one off the queue, both under the lock of their
// bucket. A slot that becomes free while somebody waits is handed over: the count stays, so that
// nobody who comes later is faster.
#include <pirn/error_group.h>

#include <string>

#include "runtime/sema.h"

namespace pirn {
namespace {

constexpr std::uint64_t k_awaited = std::uint64_t{1} << 63;

std::int64_t count_of(std::uint64_t running) {
    return static_cast<std::int64_t>(running & ~k_awaited);
}

}  // namespace

// The functions under the bucket's lock.
struct error_group_slots {
    static bool free(const error_group& g, std::uint64_t running) {
        return g.limit_ < 0 || count_of(running) < g.limit_;
    }
    // Takes a slot if there is one. Nobody overtakes those who wait.
    static bool take(error_group& g) {
        std::uint64_t old = g.running_.load(std::memory_order_relaxed);
        while (free(g, old) && (old & k_awaited) == 0) {
            // ORD(slots): acquire; pairs with the releases in give_slot and hand_over: a part
            // comes after the one that made room for it.
            if (g.running_.compare_exchange_weak(old, old + 1, std::memory_order_acquire,
                                                 std::memory_order_relaxed))
                return true;
        }
        return false;
    }
    // Waits, or takes a slot that is free by now.
    static bool announce(void* arg) {
        auto& g = *static_cast<error_group*>(arg);
        std::uint64_t old = g.running_.load(std::memory_order_relaxed);
        for (;;) {
            const bool waits = !free(g, old) || (old & k_awaited) != 0;
            // ORD(slots): acquire; as in take.
            if (g.running_.compare_exchange_weak(old, waits ? old | k_awaited : old + 1,
                                                 std::memory_order_acquire,
                                                 std::memory_order_relaxed))
                return waits;
        }
    }
    static std::uintptr_t hand_over(const rt::sema_wake& found, void* arg) {
        auto& g = *static_cast<error_group*>(arg);
        std::uint64_t old = g.running_.load(std::memory_order_relaxed);
        // Others may take or give slots meanwhile, but the bit is changed under this lock only.
        for (;;) {
            std::uint64_t next = found.woke ? old : old - 1;
            if (!found.more) next &= ~k_awaited;
            // ORD(slots): release; pairs with the acquires in take and announce.
            if (g.running_.compare_exchange_weak(old, next, std::memory_order_release,
                                                 std::memory_order_relaxed))
                return 0;
        }
    }
};

void error_group::take_slot() {
    if (error_group_slots::take(*this)) return;
    rt::sema_park(&running_, error_group_slots::announce, this, false,
                  rt::wait_reason::semaphore);
}

bool error_group::try_take_slot() { return error_group_slots::take(*this); }

void error_group::give_slot() {
    std::uint64_t old = running_.load(std::memory_order_relaxed);
    while ((old & k_awaited) == 0) {
        // ORD(slots): release; pairs with the acquires in take and announce.
        if (running_.compare_exchange_weak(old, old - 1, std::memory_order_release,
                                           std::memory_order_relaxed))
            return;
    }
    rt::sema_wake_one(&running_, error_group_slots::hand_over, this);
}

void error_group::fail(std::error_code e, std::exception_ptr thrown) {
    first_.call([&] {
        error_ = e;
        thrown_ = std::move(thrown);
        if (on_first_failure_) on_first_failure_(error_, thrown_);
    });
}

void error_group::end() {
    give_slot();
    // The last touch: who waits may destroy the group now.
    group_.done();
}

std::error_code error_group::wait() {
    group_.wait();
    if (on_first_failure_) on_first_failure_(error_, thrown_);
    if (thrown_ != nullptr) std::rethrow_exception(thrown_);
    return error_;
}

void error_group::set_limit(int n) {
    const std::int64_t running = count_of(running_.load(std::memory_order_relaxed));
    if (running != 0)
        throw panic("errgroup: modify limit while " + std::to_string(running) +
                    " goroutines in the group are still active");
    limit_ = n < 0 ? -1 : n;
}

}  // namespace pirn
