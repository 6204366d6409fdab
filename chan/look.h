// SPDX-License-Identifier: MIT
// Looking at a channel without its lock, for operations that fail at once; and the writes that such
// looks may see, which are made with the lock held.
//
// A failure must be true of one moment within the call, although several words are read:
//   - Sending: closed, then full. A closed channel does not become full, so that it was open and
//     full at the moment of the second look, or between the two.
//   - Receiving: empty, then open. A channel that is open at the second look was open at the
//     first. A look that sees a value gone sees a close that came before it was taken.
//   - One of several (a select's otherwise): a value may come to the first while the second's is
//     taken, so that there always is one and none is seen. Each channel counts its changes from
//     impossible to possible, after they are made. The count is read before the channel is looked
//     at, and again when all have been. Let it be the same for all, and let C be a change that
//     makes a channel possible after it was looked at. Had C happened before anything that was seen
//     at another channel, then C would be in the second reading. It cannot have been in the first,
//     or it would have been seen. So no C comes before anything that was seen: the moment before
//     the first C is the one.
//
// Templates, and without noexcept, because the model test explores them on channels of its own.
#pragma once

#include <cstddef>
#include <cstdint>

#include <pirn/chan_elem.h>

#include "runtime/base/atomic.h"

namespace pirn::detail {

// The writes, for whoever holds the channel's lock.

// Says that an operation may have become possible, after it has.
template <class C>
void count_change(C* c) {
    // ORD(select-look): release; who reads the count sees what was changed. Pairs with the acquire
    // in changes_before.
    c->changes.store(c->changes.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

template <class C>
void set_count(C* c, std::size_t n) {
    // ORD(chan-look): release; pairs with the acquires in send_would_block and looks_empty.
    c->count.store(n, std::memory_order_release);
    count_change(c);
}

template <class Queue>
void set_size(Queue& q, std::uint32_t n) {
    // ORD(chan-look): release; pairs with the acquires in send_would_block and looks_empty.
    q.size.store(n, std::memory_order_release);
}

template <class C, class Box>
void set_returned(C* c, Box* first) {
    // ORD(chan-look): release; pairs with the acquires in looks_empty.
    c->returned.store(first, std::memory_order_release);
}

template <class C>
void set_closed(C* c) {
    // ORD(chan-look): release; pairs with the acquires in send_would_block and is_closed_now.
    c->closed.store(true, std::memory_order_release);
    count_change(c);
}

// The looks.

template <class C>
bool send_would_block(const C* c) {
    // ORD(chan-look): acquire; pairs with the releases above.
    return !c->closed.load(std::memory_order_acquire) &&
           c->recvq.size.load(std::memory_order_acquire) == 0 &&
           c->count.load(std::memory_order_acquire) >= c->capacity;
}

template <class C>
bool looks_empty(const C* c) {
    // ORD(chan-look): acquire; pairs with the releases above.
    return c->count.load(std::memory_order_acquire) == 0 &&
           c->sendq.size.load(std::memory_order_acquire) == 0 &&
           c->returned.load(std::memory_order_acquire) == nullptr;
}

template <class C>
bool is_closed_now(const C* c) {
    // ORD(chan-look): acquire; pairs with the release in set_closed.
    return c->closed.load(std::memory_order_acquire);
}

// What try_recv would find; ok: that it must be tried.
template <class C>
recv_status look_to_receive(const C* c) {
    if (!looks_empty(c)) return recv_status::ok;
    if (!is_closed_now(c)) return recv_status::empty;
    // Values that were sent before the close are visible by now.
    return looks_empty(c) ? recv_status::closed : recv_status::ok;
}

template <class C>
std::uint32_t changes_before(const C* c) {
    // ORD(select-look): acquire; pairs with the release in count_change.
    return c->changes.load(std::memory_order_acquire);
}

template <class C>
bool has_changed(const C* c, std::uint32_t before) {
    // ORD(select-look): relaxed; the looks in between have acquired, so that it is not read before
    // them, and sees what came before what they saw.
    return c->changes.load(std::memory_order_relaxed) != before;
}

}  // namespace pirn::detail
