// SPDX-License-Identifier: MIT
// The parking lot: a static table of buckets, in each the queues of the keys that fall there.
//
// Invariants, for each bucket, whenever its lock is free:
//   - `keys` lists the first sleeper of each key that has any; no two of them have the same key.
//   - The sleepers of one key form a ring in the order of their turns, closed from the last one
//     back to the first.
//   - A sleeper is in the ring of its key exactly while its `object` is the key.
//
// A deadline is a timer on the sleeper's frame, armed before the lock is taken, since arming may
// allocate. Whoever takes the sleeper off its ring, under the lock, decides whether it was woken or
// has timed out. A timer that comes before the sleeper is parked leaves word; and one that is about
// to come when the sleeper was woken is waited for before the frame is left. The same goes for a
// wait that is cancelled: its record is with the source before the lock is taken.
//
// Rejected: one list in each bucket, with all keys mixed (a hundred thousand waiters of one object
// are then in the way of every other that falls there); a tree of keys as in Go (a bucket has few
// different ones, even with many objects: objects with waiters are rare).
#include "runtime/sema.h"

#include <optional>

#include "arch/arch.h"
#include "runtime/base/cacheline.h"
#include "runtime/base/check.h"
#include "runtime/cancel.h"
#include "runtime/fork.h"
#include "runtime/lock.h"
#include "runtime/sched.h"
#include "runtime/self.h"
#include "runtime/timer.h"
#include "runtime/waiter.h"

namespace pirn::rt {
namespace {

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

void add(bucket& b, sleeper* s, bool lifo) {
    const void* key = s->key;
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

// That of one whose wait can be cancelled.
bool drop_recalled(waiter* w) noexcept {
    const bool was_linked = drop_sleeper(w);
    static_cast<sleeper*>(w)->recall->leave();
    return was_linked;
}

}  // namespace

void forget_sleepers() {
    for (bucket& b : table) ::new (&b) bucket;
}

namespace {

void release_bucket(void* held) { static_cast<bucket*>(held)->mu.release(); }

// The end of a goroutine's wait.
struct alarm : timer {
    sleeper* s;
    bool came_early = false;   // guarded by the bucket's lock

    alarm(sleeper* of, std::int64_t deadline_ns) : s(of) {
        fire = &ring;
        timer_start(this, deadline_ns);
    }
    ~alarm() { timer_stop(this); }

    static void ring(timer* t) {
        auto* due = static_cast<alarm*>(t);
        sleeper* s = due->s;
        bucket& b = bucket_of(s->key);
        b.mu.acquire();
        due->came_early = !s->parked;
        const bool ends = s->parked && s->object != nullptr;
        if (ends) {
            remove(b, s);
            s->token = k_timed_out;
        }
        const who owner = s->owner;
        b.mu.release();
        if (ends) ready(owner);
    }
};

// The end of a wait that is cancelled.
struct recall : cancel_waiter {
    sleeper* s;
    bool came_early = false;   // guarded by the bucket's lock

    recall(sleeper* of, cancel_source* source) : s(of) {
        claim = &end;
        s->recall = this;
        s->drop = &drop_recalled;
        s->is_select = true;   // so that it is dropped also if it was woken but did not go on
        if (!join_unless_done(source)) came_early = true;
    }
    ~recall() { leave(); }

    static who end(cancel_waiter* w) noexcept {
        auto* self = static_cast<recall*>(w);
        sleeper* s = self->s;
        bucket& b = bucket_of(s->key);
        const lock_guard hold(b.mu);
        self->came_early = !s->parked;
        if (!s->parked || s->object == nullptr) return {};
        remove(b, s);
        s->token = k_timed_out;
        return s->owner;
    }
};

// A thread's sleep with a deadline, in the ring and with the bucket's lock, which is let go.
void sleep_on_thread(bucket& b, sleeper* s, std::int64_t deadline_ns) {
    note* mine = s->owner.thread();
    b.mu.release();
    if (mine->sleep(deadline_ns)) return;
    b.mu.acquire();
    const bool ends = s->object != nullptr;
    if (ends) {
        remove(b, s);
        s->token = k_timed_out;
    }
    b.mu.release();
    // Its waker is on the way, and touches the note.
    if (!ends) mine->sleep(base::k_never_ns);
}

// Sleeps if join() says so, called with the bucket's lock. Returns the token, or k_not_parked.
template <class Join>
std::uintptr_t sleep_in(bucket& b, parker& self, sleeper* s, wait_reason reason, Join join) {
    b.mu.acquire();
    if (!join()) {
        b.mu.release();
        return k_not_parked;
    }
    s->parked = true;
    self.park(release_bucket, &b, reason, s);
    return s->token;
}

// The same, unless what ends the wait has come before it sleeps.
template <class End, class Join>
std::uintptr_t sleep_unless_over(bucket& b, parker& self, sleeper* s, wait_reason reason,
                                 const End& end, Join join) {
    return sleep_in(b, self, s, reason, [&] {
        if (!join()) return false;
        if (!end.came_early) return true;
        remove(b, s);
        s->token = k_timed_out;
        return false;
    });
}

template <class Join>
[[gnu::noinline]] std::uintptr_t sleep_in_until(bucket& b, parker& self, sleeper* s,
                                                wait_reason reason, const detail::wait_end& until,
                                                Join join) {
    if (until.source != nullptr) {
        recall end(s, until.source);
        return sleep_unless_over(b, self, s, reason, end, join);
    }
    if (!self.on_goroutine()) {
        b.mu.acquire();
        if (!join()) {
            b.mu.release();
            return k_not_parked;
        }
        s->parked = true;
        sleep_on_thread(b, s, until.deadline_ns);
        return s->token;
    }
    alarm end(s, until.deadline_ns);
    return sleep_unless_over(b, self, s, reason, end, join);
}

void prepare(sleeper* s, const parker& self, const void* key) {
    s->owner = self.name();
    s->key = key;
    s->drop = &drop_sleeper;
}

}  // namespace

std::uintptr_t sema_park(const void* key, bool (*validate)(void*), void* arg, bool lifo,
                         wait_reason reason, std::int64_t since_ns,
                         const detail::wait_end& end) {
    bucket& b = bucket_of(key);
    parker self;
    sleeper s;
    prepare(&s, self, key);
    s.since_ns = since_ns;
    const auto join = [&] {
        if (!validate(arg)) return false;
        add(b, &s, lifo);
        return true;
    };
    if (end.never()) [[likely]]
        return sleep_in(b, self, &s, reason, join);
    const bool over =
        end.source != nullptr ? end.source->is_done() : base::now_ns() >= end.deadline_ns;
    if (over) return k_timed_out;
    const std::uintptr_t token = sleep_in_until(b, self, &s, reason, end, join);
    return s.token == k_timed_out ? k_timed_out : token;
}

sema_place::sema_place(const void* key, void (*mark)(void*), void* arg) {
    prepare(&s_, self_, key);
    bucket& b = bucket_of(key);
    const lock_guard hold(b.mu);
    add(b, &s_, false);
    mark(arg);
}

sema_place::~sema_place() { drop_sleeper(&s_); }

std::uintptr_t sema_place::sleep(wait_reason reason, const detail::wait_end& end) {
    bucket& b = bucket_of(s_.key);
    const auto join = [&] { return s_.object != nullptr; };
    if (end.never())
        sleep_in(b, self_, &s_, reason, join);
    else
        sleep_in_until(b, self_, &s_, reason, end, join);
    return s_.token;
}

sleeper* sema_line::first() const { return find_first(bucket_of(key_), key_); }

sleeper* sema_line::next(const sleeper* s) const {
    sleeper* following = static_cast<sleeper*>(s->next);
    return following == first() ? nullptr : following;
}

void sema_line::take(sleeper* s, std::uintptr_t token) {
    remove(bucket_of(key_), s);
    s->token = token;
    if (!s->parked) return;   // it will see when it gets the lock
    if (last_taken_ != nullptr)
        last_taken_->next = s;
    else
        taken_ = s;
    last_taken_ = s;
}

void sema_visit(const void* key, void (*visit)(sema_line&, void*), void* arg) {
    // Those taken are a list on their own frames, which stay until they are made runnable, if the
    // run does: one of ours is part of it, others hold it.
    std::optional<sched_ref> run;
    const bool outside = self() == nullptr;
    if (outside) run.emplace();
    bucket& b = bucket_of(key);
    sema_line line(key);
    b.mu.acquire();
    if (outside && !*run) {
        // Goroutines of a run that has ended, not yet dropped: they never go on.
        for (sleeper* s = line.first(); s != nullptr;) {
            sleeper* following = line.next(s);
            if (!s->owner.is_thread()) remove(b, s);
            s = following;
        }
    }
    visit(line, arg);
    b.mu.release();
    for (sleeper* s = line.taken_; s != nullptr;) {
        sleeper* following = next_of(s);
        ready(s->owner);
        s = following;
    }
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
