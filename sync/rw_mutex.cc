// SPDX-License-Identifier: MIT
// rw_mutex: a word, and one line of readers and writers in the parking lot.
//
// The word:
//   writer    the writer's slot is taken: by who holds it, or by one that waits for readers to
//             leave (drain). New readers are kept out.
//   drain     the slot's owner waits: it is the first writer in line, whichever that is by the time
//             the last reader leaves. Only together with writer and with readers.
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
// Unlocking by the last reader, where a writer drains: hands it over to the first writer in line.
// It does so under the bucket's lock and changes the word there, before anyone else can know that
// no reader is left: each other unlock_shared is one compare-exchange, after which the object may
// be gone. Go's counts the readers down first, and then touches the object to wake the writer.
//
// A writer that gives up at its deadline, or is dropped at the end of a run, may have been the one
// that drained. Whoever finds drain set and no writer in line lets the readers in: the one that
// gave up, or the last reader.
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
// What a reader notes down for its waker; a writer: since when it waits.
constexpr std::int64_t k_is_reader = 0;

bool is_reader(const rt::sleeper* s) { return s->since_ns == k_is_reader; }

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
    // A writer parks: true unless it may have the mutex at once.
    static bool writer_joins(void* arg) {
        word& state = *static_cast<word*>(arg);
        std::uint32_t old = state.load(std::memory_order_relaxed);
        for (;;) {
            std::uint32_t next = old | k_parked;
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
            if ((old & k_writer) == 0) return false;
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
            } else if (base::now_ns() - s->since_ns >= k_starvation_ns) {
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

    static void reader_leaves(word& state, rt::sema_line& line) {
        std::uint32_t old = state.load(std::memory_order_relaxed);
        while ((old & k_drain) == 0 || old >= 2 * k_reader) {
            // ORD(rw-mutex): release; pairs with the acquires of lock.
            if (state.compare_exchange_weak(old, old - k_reader, std::memory_order_release,
                                            std::memory_order_relaxed))
                return;
        }
        // The last one, with the slot taken: the bits change under this lock only.
        std::uint32_t next = k_writer;
        if (rt::sleeper* s = first_writer(line))
            line.take(s, k_handed_over);
        else
            next = take_readers(line) * k_reader;
        if (!line.empty()) next |= k_parked;
        // ORD(rw-mutex): acq_rel; what all readers did is passed on to who gets it, by the wakeup
        // or by this store. Pairs with the releases of unlock_shared and the acquires of lock.
        state.fetch_add(next - (old & k_bits) - k_reader, std::memory_order_acq_rel);
    }

    // A writer has given up: if it was the last in line, the slot is not waited for any more.
    static void writer_gives_up(word& state, rt::sema_line& line) {
        if ((state.load(std::memory_order_relaxed) & k_drain) == 0) return;
        if (first_writer(line) != nullptr) return;
        // Others may leave meanwhile, but not the last: it needs the lock.
        const std::uint32_t more = take_readers(line) * k_reader;
        std::uint32_t old = state.load(std::memory_order_relaxed);
        // Relaxed: no writer has written.
        while (!state.compare_exchange_weak(old, (old & ~(k_writer | k_drain | k_parked)) + more,
                                            std::memory_order_relaxed,
                                            std::memory_order_relaxed)) {
        }
    }
};

bool rw_mutex::try_lock() {
    std::uint32_t old = state_.load(std::memory_order_relaxed);
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
        if (!again) since_ns = base::now_ns();
        const std::uintptr_t token =
            rt::sema_park(&state_, core::writer_joins, &state_, again,
                          rt::wait_reason::rw_mutex_lock, since_ns, end);
        if (token == k_handed_over) return true;
        if (token == rt::k_timed_out) {
            rt::sema_visit(&state_, [this](rt::sema_line& line) {
                core::writer_gives_up(state_, line);
            });
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
        if ((old & k_drain) != 0 && old < 2 * k_reader) {
            unlock_shared_slow(old);
            break;
        }
        // Relaxed: nothing was read. ORD(rw-mutex): acquire; as above, for a slot that is free.
        if (state_.compare_exchange_weak(old, old - k_reader, std::memory_order_relaxed,
                                         std::memory_order_acquire))
            break;
    }
    if ((old & k_writer) != 0) lock_shared_until({});
}

bool rw_mutex::lock_shared_until(const detail::wait_end& end) {
    for (std::uint32_t round = 0;;) {
        if (try_lock_shared()) return true;
        if ((state_.load(std::memory_order_relaxed) & k_drain) == 0 && rt::sema_spin(round)) {
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
                   [this](rt::sema_line& line) { core::reader_leaves(state_, line); });
}

void rw_mutex::destroy_slow() const { sync::check_nobody_waits(&state_, "rw_mutex"); }

}  // namespace pirn
