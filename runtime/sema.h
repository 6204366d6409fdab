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

#include "runtime/park.h"

namespace pirn::rt {

inline constexpr std::uintptr_t k_not_parked = ~std::uintptr_t{0};

// Blocks the caller on `key` if validate(arg) says so: it looks at the object's word and returns
// false when there is no reason to sleep any more. `lifo` queues at the front (a waiter that was
// woken and lost). `since_ns` is the caller's note for its waker, see sema_wake. Returns the token
// that the waker gave, or k_not_parked when validate said no.
std::uintptr_t sema_park(const void* key, bool (*validate)(void*), void* arg, bool lifo,
                         wait_reason reason, std::int64_t since_ns = 0);

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

// For the holder of a short lock to go away, before parking: waits a moment and says true if
// spinning makes sense (another P is running, this one has nothing else to run, and `round`, which
// counts up from 0, is small).
bool sema_spin(std::uint32_t round);

// How many callers are parked on `key` at this moment. For tests.
std::uint32_t sema_waiting(const void* key);

}  // namespace pirn::rt
