// SPDX-License-Identifier: MIT
// rw_mutex: a word, and one line of readers and writers in the parking lot.
//
// The word:
//   writer    the writer's slot is taken: by who holds it, or by one that waits for readers to
//             leave (drain). New readers are kept out.
//   drain     the slot's owner waits: it is the first writer in line, whichever that is by the time
//             the last reader has left. Only together with writer.
//   parked    there may be somebody in line.
//   readers   how many hold it, in the other bits; and those in lock_shared who found the slot
//             taken after they had counted themselves, and are about to take that back.
//
// Invariants:
//   - A reader gets in only while the slot is free, or by an unlock that lets in those in line.
//   - While a writer holds it (writer without drain) no reader does, although some may be counted.
//     So whoever changes the word then adds to it what is to change, and leaves the rest.
//   - The bits writer and drain are given up under the bucket's lock wherever somebody is in line,
//     so that who parks and who lets in decide one after the other.
//
// Unlocking by a writer, where somebody is in line:
//   1. All readers in line get it. The first writer in line, if any, has the slot at once, and
//      drains them.
//   2. No reader: the first writer in line gets it if it has waited for 1 ms. Else it is free, and
//      that writer is woken to compete, and parks at the front again if it loses.
// Unlocking by a reader is one subtraction, after which the object may be gone, unless it was the
// last one and a writer drains: then it goes to the bucket and hands it over to the first writer in
// line. The object is there as long as somebody is in line, and is touched only then: the writer
// that drained may have given up meanwhile, and others may have had the mutex and destroyed it.
// That who is in line waits for an rw_mutex, and not for what is at its address by now, is to be
// seen by its note for its waker. Go's reader touches the object to wake the writer.
//
// A writer that gives up at its deadline, or is dropped at the end of a run, may have been the one
// that drained. If no other is in line, the one that gave up clears drain, and lets the readers in.
// So does the last reader, if others are in line; and whoever tries it, or is about to park, and
// finds drain set and no reader left: the last one has been at the bucket and found nobody, or will
// come there and find nothing to do.
#include <pirn/rw_mutex.h>

#include <cstdint>

#include "runtime/base/check.h"
#include "runtime/base/clock.h"
#include "runtime/sema.h"
#include "sync/destroyed.h"

namespace pirn {
namespace {

using word = detail::word<std::uint32_t>;

constexpr std::int64_t k_starvation_ns = 1'000'000;  // as mutex
// What the waker tells the waiter.
constexpr std::uintptr_t k_compete = 0, k_handed_over = 1;
// What a reader notes down for its waker; a writer: since when it waits, below zero. Who waits for
// anything else notes nothing below zero.
constexpr std::int64_t k_is_reader = INT64_MIN;

bool is_reader(const rt::sleeper* s) { return s->since_ns == k_is_reader; }
bool is_ours(const rt::sleeper* s) { return s->since_ns < 0; }

rt::sleeper* first_writer(const rt::sema_line& line) {
    rt::sleeper* s = line.first();
    while (s != nullptr && is_reader(s)) s = line.next(s);
    return s;
}

std::uint32_t take_readers(rt::sema_line& line) {
    std::uint32_t n = 0;
    for (rt::sleeper* s = line.first(); s != nullptr;) {
        rt::sleeper* following = line.next(s);
        if (is_reader(s)) {
            line.take(s, k_handed_over);
            ++n;
        }
        s = following;
    }
    return n;
}

}  // namespace

// What runs under the bucket's lock.
struct rw_mutex::core {
    // A writer parks: true unless it may have the mutex at once, or has to see to who may.
    static bool writer_joins(void* arg) {
        word& state = *static_cast<word*>(arg);
        std::uint32_t old = state.load(std::memory_order_relaxed);
        for (;;) {
            std::uint32_t next = old | k_parked;
            if (is_drained(old)) return false;
            if ((old & k_writer) == 0) {
                if (old < k_reader) return false;
                next |= k_writer | k_drain;
            }
            // Relaxed: the bucket's lock orders the rest.
            if (state.compare_exchange_weak(old, next, std::memory_order_relaxed,
                                            std::memory_order_relaxed))
                return true;
        }
    }

    static bool reader_joins(void* arg) {
        word& state = *static_cast<word*>(arg);
        std::uint32_t old = state.load(std::memory_order_relaxed);
        for (;;) {
            if ((old & k_writer) == 0 || is_drained(old)) return false;
            // Relaxed: as above.
            if (state.compare_exchange_weak(old, old | k_parked, std::memory_order_relaxed,
                                            std::memory_order_relaxed))
                return true;
        }
    }

    // The bits change under this lock only: a writer holds it.
    static void writer_leaves(word& state, rt::sema_line& line) {
        const std::uint32_t old = state.load(std::memory_order_relaxed) & k_bits;
        std::uint32_t next = take_readers(line) * k_reader;
        if (rt::sleeper* s = line.first()) {
            if (next != 0) {
                next |= k_writer | k_drain;
            } else if (base::now_ns() + s->since_ns >= k_starvation_ns) {
                line.take(s, k_handed_over);
                next |= k_writer;
            } else {
                line.take(s, k_compete);
            }
        }
        if (!line.empty()) next |= k_parked;
        // ORD(rw-mutex): release; pairs with the acquires of both kinds of lock.
        state.fetch_add(next - old, std::memory_order_release);
    }

    // No reader is left for whom the slot's owner waits. The bits change under this lock only.
    static void hand_over(word& state, rt::sema_line& line, rt::sleeper* to) {
        const std::uint32_t old = state.load(std::memory_order_relaxed);
        line.take(to, k_handed_over);
        const std::uint32_t next = k_writer | (line.empty() ? 0 : k_parked);
        // ORD(rw-mutex): acq_rel; what all readers did is passed on to who gets it, by the wakeup.
        // Pairs with the releases of unlock_shared.
        state.fetch_add(next - (old & k_bits), std::memory_order_acq_rel);
    }

    // By the last reader. The object may be gone, unless somebody is in line for it.
    static void reader_has_left(word& state, rt::sema_line& line) {
        const rt::sleeper* s = line.first();
        if (s != nullptr && is_ours(s)) settle(state, line);
    }

    // Also by one who has given up, or is about to park. If no writer is in line, the slot is not
    // waited for any more.
    static void settle(word& state, rt::sema_line& line) {
        std::uint32_t old = state.load(std::memory_order_relaxed);
        if ((old & k_drain) == 0) return;
        if (rt::sleeper* s = first_writer(line)) {
            if (is_drained(old)) hand_over(state, line, s);
            return;
        }
        // Readers may leave meanwhile.
        const std::uint32_t more = take_readers(line) * k_reader;
        // Relaxed: no writer has written.
        while (!state.compare_exchange_weak(old, (old & ~(k_writer | k_drain | k_parked)) + more,
                                            std::memory_order_relaxed,
                                            std::memory_order_relaxed)) {
        }
    }
};

bool rw_mutex::try_lock() {
    std::uint32_t old = state_.load(std::memory_order_relaxed);
    if (is_drained(old)) [[unlikely]] {
        settle();
        old = state_.load(std::memory_order_relaxed);
    }
    while ((old & k_writer) == 0 && old < k_reader) {
        // ORD(rw-mutex): acquire; pairs with the releases of both kinds of unlock.
        if (state_.compare_exchange_weak(old, old | k_writer, std::memory_order_acquire,
                                         std::memory_order_relaxed))
            return true;
    }
    return false;
}

bool rw_mutex::lock_until(const detail::wait_end& end) {
    std::int64_t since_ns = 0;
    for (std::uint32_t round = 0;;) {
        if (try_lock()) return true;
        const std::uint32_t old = state_.load(std::memory_order_relaxed);
        // Readers are not waited for like this: what they do may be long.
        if ((old & k_writer) != 0 && (old & k_drain) == 0 && rt::sema_spin(round)) {
            ++round;
            continue;
        }
        const bool again = since_ns != 0;
        if (!again) since_ns = -base::now_ns();
        const std::uintptr_t token =
            rt::sema_park(&state_, core::writer_joins, &state_, again,
                          rt::wait_reason::rw_mutex_lock, since_ns, end);
        if (token == k_handed_over) return true;
        if (token == rt::k_timed_out) {
            settle();
            return false;
        }
        round = 0;
    }
}

// Takes the count back that was too early, or keeps it where the slot is free by now.
void rw_mutex::lock_shared_slow() {
    // ORD(rw-mutex): acquire; pairs with the release of unlock.
    std::uint32_t old = state_.load(std::memory_order_acquire);
    while ((old & k_writer) != 0) {
        // Relaxed: nothing was read. ORD(rw-mutex): acquire; as above, for a slot that is free.
        if (state_.compare_exchange_weak(old, old - k_reader, std::memory_order_relaxed,
                                         std::memory_order_acquire)) {
            lock_shared_until({});
            return;
        }
    }
}

bool rw_mutex::try_lock_shared_slow() {
    settle();
    return try_lock_shared();
}

bool rw_mutex::lock_shared_until(const detail::wait_end& end) {
    for (std::uint32_t round = 0;;) {
        if (try_lock_shared()) return true;
        const std::uint32_t old = state_.load(std::memory_order_relaxed);
        if ((old & k_drain) == 0 && rt::sema_spin(round)) {
            ++round;
            continue;
        }
        const std::uintptr_t token =
            rt::sema_park(&state_, core::reader_joins, &state_, false,
                          rt::wait_reason::rw_mutex_lock, k_is_reader, end);
        if (token == k_handed_over) return true;
        if (token == rt::k_timed_out) return false;
    }
}

void rw_mutex::unlock_slow(std::uint32_t old) {
    if ((old & k_writer) == 0 || (old & k_drain) != 0)
        base::fatal("sync: Unlock of unlocked RWMutex");
    rt::sema_visit(&state_,
                   [this](rt::sema_line& line) { core::writer_leaves(state_, line); });
}

void rw_mutex::unlock_shared_slow(std::uint32_t old) {
    if (old < k_reader) base::fatal("sync: RUnlock of unlocked RWMutex");
    rt::sema_visit(&state_,
                   [this](rt::sema_line& line) { core::reader_has_left(state_, line); });
}

void rw_mutex::settle() {
    rt::sema_visit(&state_, [this](rt::sema_line& line) { core::settle(state_, line); });
}

void rw_mutex::destroy_slow() const { sync::check_nobody_waits(&state_, "rw_mutex"); }

}  // namespace pirn
