// SPDX-License-Identifier: MIT
// Sleep and wake on an address: a table of FIFO queues keyed by address, so that a sync object is
// one word and may be destroyed by its next owner the moment that word says free. The object is
// touched only through the caller's functions, under the bucket's lock; afterwards its address is
// only a key (WebKit's ParkingLot; Go's semaRoot keeps the table but touches the object late).
//
// The caller's functions run under the bucket's lock: they change the object's word and nothing
// else. Whoever is about to sleep and whoever is about to wake decide by the same word under the
// same lock, so that no wakeup is lost.
#pragma once

#include <cstdint>
#include <type_traits>

#include <pirn/cancellation.h>

#include "runtime/base/clock.h"
#include "runtime/park.h"
#include "runtime/waiter.h"

namespace pirn::rt {

struct cancel_waiter;

inline constexpr std::uintptr_t k_not_parked = ~std::uintptr_t{0};
inline constexpr std::uintptr_t k_timed_out = k_not_parked - 1;

// Blocks the caller on `key` if validate(arg) says so: it looks at the object's word and returns
// false when there is no reason to sleep any more. `lifo` queues at the front (a waiter that was
// woken and lost). `since_ns` is the caller's note for its waker, see sema_wake. Returns the token
// that the waker gave, or k_not_parked when validate said no, or k_timed_out: the caller has left
// the queue at the deadline or because the source is done, and the object's word may speak of a
// waiter that is gone.
std::uintptr_t sema_park(const void* key, bool (*validate)(void*), void* arg, bool lifo,
                         wait_reason reason, std::int64_t since_ns = 0,
                         const detail::wait_end& end = {});

// What sema_wake_one found, told to its function.
struct sema_wake {
    bool woke;               // a waiter was taken off the queue
    bool more;               // others remain on the key
    std::int64_t since_ns;   // what the taken one gave to sema_park
};

// Takes the first waiter on `key`, if any; calls decide(result, arg), which changes the object's
// word for the last time and returns the token for the waiter; then wakes it. True: one was woken.
bool sema_wake_one(const void* key, std::uintptr_t (*decide)(const sema_wake&, void*), void* arg);

// Wakes with `token` every waiter on `key` that is there when decide(arg), which changes the
// object's word for the last time, has returned true; nobody when it returns false. Without a
// decide: those that are there now. Their number.
std::uint32_t sema_wake_all(const void* key, std::uintptr_t token, bool (*decide)(void*) = nullptr,
                            void* arg = nullptr);

// A waiter on a key. Its inherited links are those of the ring.
struct sleeper : waiter {
    const void* key = nullptr;      // never changes
    std::uintptr_t token = 0;
    std::int64_t since_ns = 0;      // the waiter's note for its waker
    std::uint64_t number = 0;       // counts the bucket's arrivals
    // It sleeps, or will before it lets the bucket's lock go: who takes it has to wake it.
    bool parked = false;
    cancel_waiter* recall = nullptr;   // may end the wait, too
    // Only in the first of its key.
    sleeper* next_key = nullptr;
    sleeper* prev_key = nullptr;
};

// Those who wait on a key, in their order, for whoever has its bucket's lock.
class sema_line {
  public:
    sleeper* first() const;
    sleeper* next(const sleeper* s) const;   // null after the last
    bool empty() const { return first() == nullptr; }
    // It will be woken, with this token, after the visit.
    void take(sleeper* s, std::uintptr_t token);

  private:
    friend void sema_visit(const void* key, void (*visit)(sema_line&, void*), void* arg);
    explicit sema_line(const void* key) : key_(key) {}
    const void* key_;
    sleeper* taken_ = nullptr;
    sleeper* last_taken_ = nullptr;
};

// Calls visit(line, arg) under the bucket's lock, which may take any of those who wait, and changes
// the object's word for the last time; then wakes those that were taken, in the order of taking.
void sema_visit(const void* key, void (*visit)(sema_line&, void*), void* arg);

template <class F>
void sema_visit(const void* key, F visit) {
    sema_visit(key, [](sema_line& line, void* arg) { (*static_cast<F*>(arg))(line); }, &visit);
}

// A place in the line of a key for a caller that has something to do before it sleeps, such as
// unlocking what protects its condition. It lives on the caller's frame. Between construction and
// sleep() the caller must not park nor give way (no_preemption): a run that ended there would leave
// the place behind.
class sema_place {
  public:
    // Joins the line; mark(arg) runs under the bucket's lock: it says in the object's word that
    // somebody waits. The object may be gone as soon as somebody has taken the place.
    sema_place(const void* key, void (*mark)(void*), void* arg);
    ~sema_place();
    sema_place(const sema_place&) = delete;
    sema_place& operator=(const sema_place&) = delete;

    // Blocks until the place is taken, returns at once if it has been: the waker's token, or
    // k_timed_out. To be called once at the most.
    std::uintptr_t sleep(wait_reason reason, const detail::wait_end& end = {});

  private:
    parker self_;
    sleeper s_;
};

// For the holder of a short lock to go away, before parking: waits a moment and says true if
// spinning makes sense (another P is running, this one has nothing else to run, and `round`, which
// counts up from 0, is small).
bool sema_spin(std::uint32_t round);

// How many callers are parked on `key` at this moment. For tests.
std::uint32_t sema_waiting(const void* key);

}  // namespace pirn::rt
