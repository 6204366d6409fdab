// SPDX-License-Identifier: MIT
// A P's run queue: a bounded ring with one producer, which also consumes, and any number of
// thieves. A pure data structure (Go's runqput, runqget, runqgrab).
//
// Invariants:
//  - Slots [head, tail) hold queued elements; both counters only rise, and wrap together.
//  - Only the owner writes tail and slots outside [head, tail).
//  - head is moved by a successful compare-exchange of whoever took the elements before it; the
//    owner may store it plainly while `alone` holds, that is while no thief can exist.
//  - next holds at most one element, which runs before the ring's.
#pragma once

#include <cstdint>

#include "runtime/base/atomic.h"
#include "runtime/base/cacheline.h"

namespace pirn::rt {

template <class T, std::uint32_t Size>
class runq {
    static_assert((Size & (Size - 1)) == 0, "the counters wrap");

  public:
    // Owner. False: full.
    bool push(T* item) {
        // ORD(runq-head): acquire; pairs with the release in pop() and steal(): a slot they took
        // has been read before it is written again.
        const std::uint32_t h = head_.load(std::memory_order_acquire);
        const std::uint32_t t = tail_.load(std::memory_order_relaxed);  // ours
        if (t - h >= Size) return false;
        slots_[t % Size].store(item, std::memory_order_relaxed);
        // ORD(runq-tail): release; publishes the slot. Pairs with the acquire in steal().
        tail_.store(t + 1, std::memory_order_release);
        return true;
    }

    // Owner. `alone`: no thief can exist.
    T* pop(bool alone) {
        // ORD(runq-head): acquire; pairs with the release of the thief that moved it.
        std::uint32_t h = head_.load(std::memory_order_acquire);
        const std::uint32_t t = tail_.load(std::memory_order_relaxed);  // ours
        while (h != t) {
            T* item = slots_[h % Size].load(std::memory_order_relaxed);
            if (alone) {
                head_.store(h + 1, std::memory_order_relaxed);  // nobody else reads it
                return item;
            }
            // ORD(runq-head): release; the slot has been read. Pairs with the acquire in push().
            if (head_.compare_exchange_weak(h, h + 1, std::memory_order_release,
                                            std::memory_order_relaxed))
                return item;
        }
        return nullptr;
    }

    // Owner, while no thief can exist: puts `item` at the back and takes the front; null, and
    // nothing is put, when the ring is empty.
    T* rotate(T* item) {
        const std::uint32_t h = head_.load(std::memory_order_relaxed);  // ours: no thief
        const std::uint32_t t = tail_.load(std::memory_order_relaxed);
        if (h == t) return nullptr;
        T* front = slots_[h % Size].load(std::memory_order_relaxed);
        slots_[t % Size].store(item, std::memory_order_relaxed);
        head_.store(h + 1, std::memory_order_relaxed);
        tail_.store(t + 1, std::memory_order_relaxed);
        return front;
    }

    // Owner, on a full ring: moves the older half to `out` (Size / 2 slots); the number taken, 0 if
    // thieves made room meanwhile.
    std::uint32_t take_half(T** out) {
        // ORD(runq-head): acquire; pairs with the release of the thief that moved it.
        std::uint32_t h = head_.load(std::memory_order_acquire);
        const std::uint32_t t = tail_.load(std::memory_order_relaxed);  // ours
        const std::uint32_t n = (t - h) / 2;
        if (n != Size / 2) return 0;
        for (std::uint32_t i = 0; i < n; ++i)
            out[i] = slots_[(h + i) % Size].load(std::memory_order_relaxed);
        // ORD(runq-head): release; pairs with the acquire in push().
        return head_.compare_exchange(h, h + n, std::memory_order_release,
                                      std::memory_order_relaxed)
                   ? n
                   : 0;
    }

    // Thief: moves half of the ring (rounded up) to the thief's own `into`, which must be empty;
    // returns one of them to run at once, or null.
    T* steal(runq& into) {
        for (;;) {
            // ORD(runq-head): acquire; pairs with the releases of other thieves and the owner.
            std::uint32_t h = head_.load(std::memory_order_acquire);
            // ORD(runq-tail): acquire; pairs with the release in push(): the slots are there.
            const std::uint32_t t = tail_.load(std::memory_order_acquire);
            std::uint32_t n = t - h;
            n = n - n / 2;
            if (n == 0) return nullptr;
            if (n > Size / 2) continue;  // h and t are of different moments
            const std::uint32_t to = into.tail_.load(std::memory_order_relaxed);  // ours
            for (std::uint32_t i = 0; i < n; ++i) {
                T* item = slots_[(h + i) % Size].load(std::memory_order_relaxed);
                into.slots_[(to + i) % Size].store(item, std::memory_order_relaxed);
            }
            // ORD(runq-head): release; the slots have been read. Pairs with the acquire in push().
            if (!head_.compare_exchange(h, h + n, std::memory_order_release,
                                        std::memory_order_relaxed))
                continue;
            T* last = into.slots_[(to + n - 1) % Size].load(std::memory_order_relaxed);
            // ORD(runq-tail): release; pairs with the acquire of those who steal from the thief.
            if (n > 1) into.tail_.store(to + n - 1, std::memory_order_release);
            return last;
        }
    }

    // Owner: puts `item` into next, returns what was there. `alone` as in pop.
    T* swap_next(T* item, bool alone) {
        if (alone) {
            T* old = next_.load(std::memory_order_relaxed);
            next_.store(item, std::memory_order_relaxed);
            return old;
        }
        // ORD(runq-next): acq_rel; pairs with the compare-exchange in steal_next().
        return next_.exchange(item, std::memory_order_acq_rel);
    }
    T* take_next(bool alone) {
        // Relaxed: only the owner fills it.
        if (next_.load(std::memory_order_relaxed) == nullptr) return nullptr;
        return swap_next(nullptr, alone);
    }
    // Thief.
    T* steal_next() {
        T* item = next_.load(std::memory_order_relaxed);
        if (item == nullptr) return nullptr;
        // ORD(runq-next): acq_rel; pairs with the exchange in swap_next().
        return next_.compare_exchange(item, nullptr, std::memory_order_acq_rel,
                                      std::memory_order_relaxed)
                   ? item
                   : nullptr;
    }

    // A look by anyone. Exact for the owner but for thieves.
    bool ring_empty() const {
        return head_.load(std::memory_order_relaxed) == tail_.load(std::memory_order_relaxed);
    }
    bool empty() const {
        return ring_empty() && next_.load(std::memory_order_relaxed) == nullptr;
    }
    std::uint32_t size() const {
        const std::uint32_t h = head_.load(std::memory_order_relaxed);
        return tail_.load(std::memory_order_relaxed) - h;
    }

  private:
    base::atomic<std::uint32_t> head_{0};
    base::atomic<std::uint32_t> tail_{0};
    base::atomic<T*> next_{nullptr};
    base::atomic<T*> slots_[Size];
};

}  // namespace pirn::rt
