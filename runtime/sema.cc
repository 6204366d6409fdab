// SPDX-License-Identifier: MIT
// The parking lot: a static table of buckets, in each the queues of the keys that fall there.
//
// Invariants, for each bucket, whenever its lock is free:
//   - `keys` lists the first sleeper of each key that has any; no two of them have the same key.
//   - The sleepers of one key form a ring in the order of their turns, closed from the last one
//     back to the first.
//   - A sleeper is in the ring of its key exactly while its `object` is the key.
//
// Rejected: one list in each bucket, with all keys mixed (a hundred thousand waiters of one object
// are then in the way of every other that falls there); a tree of keys as in Go (a bucket has few
// different ones, even with many objects: objects with waiters are rare).
#include "runtime/sema.h"

#include "arch/arch.h"
#include "runtime/base/cacheline.h"
#include "runtime/base/check.h"
#include "runtime/fork.h"
#include "runtime/lock.h"
#include "runtime/sched.h"
#include "runtime/self.h"
#include "runtime/waiter.h"

namespace pirn::rt {
namespace {

// A waiter on a key. Its inherited links are those of the ring.
struct sleeper : waiter {
    const void* key = nullptr;      // never changes
    std::uintptr_t token = 0;
    std::int64_t since_ns = 0;
    std::uint64_t number = 0;       // counts the bucket's arrivals
    // Only in the first of its key.
    sleeper* next_key = nullptr;
    sleeper* prev_key = nullptr;
};

struct alignas(base::k_cache_line_bytes) bucket {
    // Protects the queues, and the word of every object whose waiters are here while a caller's
    // function looks at it. While it is held: nothing but those functions.
    lock mu{lock_rank::sema};
    // Guarded by mu.
    std::uint64_t arrivals = 0;
    sleeper* keys = nullptr;
};

// Prime, as Go's: addresses are multiples of powers of two.
constexpr std::size_t k_buckets = 251;
constinit bucket table[k_buckets];

bucket& bucket_of(const void* key) {
    return table[(reinterpret_cast<std::uintptr_t>(key) >> 3) % k_buckets];
}

sleeper* next_of(sleeper* s) { return static_cast<sleeper*>(s->next); }
sleeper* last_of(sleeper* first) { return static_cast<sleeper*>(first->prev); }

sleeper* find_first(const bucket& b, const void* key) {
    sleeper* s = b.keys;
    while (s != nullptr && s->object != key) s = s->next_key;
    return s;
}

// `to` takes the place of `from` in the list of keys.
void replace_first(bucket& b, sleeper* from, sleeper* to) {
    to->next_key = from->next_key;
    to->prev_key = from->prev_key;
    if (to->next_key != nullptr) to->next_key->prev_key = to;
    (to->prev_key != nullptr ? to->prev_key->next_key : b.keys) = to;
}

void add(bucket& b, sleeper* s, const void* key, bool lifo) {
    s->key = key;
    s->object = const_cast<void*>(key);
    s->number = b.arrivals++;
    sleeper* first = find_first(b, key);
    if (first == nullptr) {
        s->next = s->prev = s;
        s->prev_key = nullptr;
        s->next_key = b.keys;
        if (b.keys != nullptr) b.keys->prev_key = s;
        b.keys = s;
        return;
    }
    // Before the first is after the last, too.
    s->prev = first->prev;
    s->next = first;
    first->prev->next = s;
    first->prev = s;
    if (lifo) replace_first(b, first, s);
}

void remove(bucket& b, sleeper* s) {
    sleeper* first = find_first(b, s->object);
    if (next_of(s) == s) {
        if (s->next_key != nullptr) s->next_key->prev_key = s->prev_key;
        (s->prev_key != nullptr ? s->prev_key->next_key : b.keys) = s->next_key;
    } else {
        if (s == first) replace_first(b, s, next_of(s));
        s->prev->next = s->next;
        s->next->prev = s->prev;
    }
    s->next = s->prev = nullptr;
    s->object = nullptr;
}

bool drop_sleeper(waiter* w) noexcept {
    auto* s = static_cast<sleeper*>(w);
    bucket& b = bucket_of(s->key);
    lock_guard hold(b.mu);
    if (s->object == nullptr) return false;
    remove(b, s);
    return true;
}

}  // namespace

void forget_sleepers() {
    for (bucket& b : table) ::new (&b) bucket;
}

std::uintptr_t sema_park(const void* key, bool (*validate)(void*), void* arg, bool lifo,
                         wait_reason reason, std::int64_t since_ns) {
    bucket& b = bucket_of(key);
    b.mu.acquire();
    if (!validate(arg)) {
        b.mu.release();
        return k_not_parked;
    }
    parker self;
    sleeper s;
    s.owner = self.name();
    s.since_ns = since_ns;
    s.drop = &drop_sleeper;
    add(b, &s, key, lifo);
    self.park([](void* held) { static_cast<bucket*>(held)->mu.release(); }, &b, reason, &s);
    return s.token;
}

bool sema_wake_one(const void* key, std::uintptr_t (*decide)(const sema_wake&, void*), void* arg) {
    bucket& b = bucket_of(key);
    b.mu.acquire();
    sleeper* s = find_first(b, key);
    if (s == nullptr) {
        decide({.woke = false, .more = false, .since_ns = 0}, arg);
        b.mu.release();
        return false;
    }
    const bool more = next_of(s) != s;
    remove(b, s);
    s->token = decide({.woke = true, .more = more, .since_ns = s->since_ns}, arg);
    const who owner = s->owner;
    b.mu.release();
    ready(owner);
    return true;
}

std::uint32_t sema_wake_all(const void* key, std::uintptr_t token, bool (*decide)(void*),
                            void* arg) {
    // In batches, so that nothing on a sleeper's frame is touched after the lock is released. Who
    // comes to the key between two batches waits for something else, perhaps for another object.
    constexpr std::uint32_t k_batch = 32;
    bucket& b = bucket_of(key);
    b.mu.acquire();
    if (decide != nullptr && !decide(arg)) {
        b.mu.release();
        return 0;
    }
    const std::uint64_t end = b.arrivals;
    std::uint32_t woken = 0;
    for (;;) {
        who owners[k_batch];
        std::uint32_t n = 0;
        sleeper* s = find_first(b, key);
        const sleeper* last = s != nullptr ? last_of(s) : nullptr;
        while (s != nullptr && n < k_batch) {
            sleeper* following = s == last ? nullptr : next_of(s);
            if (s->number < end) {
                s->token = token;
                owners[n++] = s->owner;
                remove(b, s);
            }
            s = following;
        }
        b.mu.release();
        for (std::uint32_t i = 0; i < n; ++i) ready(owners[i]);
        woken += n;
        if (n < k_batch) return woken;
        b.mu.acquire();
    }
}

bool sema_spin(std::uint32_t round) {
    constexpr std::uint32_t k_rounds = 4, k_pauses = 30;  // Go's
    if (round >= k_rounds) return false;
    if (const m* mp = self()) {
        const sched* s = mp->owner;
        // Relaxed: a guess at whether the holder runs.
        const std::uint32_t idle = s->idle_p_count.load(std::memory_order_relaxed) +
                                   s->spinning.load(std::memory_order_relaxed);
        if (s->procs.load(std::memory_order_relaxed) <= idle + 1) return false;
        if (mp->cpu == nullptr || !mp->cpu->queue.empty()) return false;
    } else if (num_cpu() == 1) {
        return false;
    }
    for (std::uint32_t i = 0; i < k_pauses; ++i) arch::pause();
    return true;
}

std::uint32_t sema_waiting(const void* key) {
    bucket& b = bucket_of(key);
    lock_guard hold(b.mu);
    sleeper* first = find_first(b, key);
    if (first == nullptr) return 0;
    std::uint32_t n = 1;
    for (sleeper* s = next_of(first); s != first; s = next_of(s)) ++n;
    return n;
}

}  // namespace pirn::rt
