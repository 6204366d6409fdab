// SPDX-License-Identifier: MIT
// hchan: the untyped channel (Go's chan.go). What of it select and timers need, too.
//
// Invariants, whenever the lock is free; a record whose select was won elsewhere counts as absent:
//   - recvq or sendq is empty, but for one select that waits on both sides of the channel itself.
//   - count > 0 implies that recvq is empty; so does that something was returned.
//   - count < capacity implies that sendq is empty.
//   - closed implies that both queues are empty.
//   - The values are in the slots [recv_index, recv_index + count), modulo capacity.
//   - A record is linked into a queue exactly while record->object is this channel.
//   - handles > 0, or orphaned and a queue is not empty.
#pragma once

#include <cstddef>
#include <cstdint>

#include <pirn/chan_elem.h>

#include "runtime/base/atomic.h"
#include "runtime/lock.h"
#include "runtime/waiter.h"

namespace pirn::detail {

struct box;

// Waiting records, first come first served, and how many they are. Used as [[no_unique_address]],
// so that what follows stands in its last four bytes.
struct wait_queue {
    rt::waiter_queue records;
    // Written under the lock; read without it by operations that would fail, see look.h.
    base::atomic<std::uint32_t> size{0};
};

// How values move. Beside the lock, so that the most frequent types need not look at their ops.
enum class transfer : std::uint8_t { word, bytes, call };

// 96 bytes, and the slots of the buffer behind them.
struct hchan {
    hchan(const elem_ops& o, std::size_t n)
        : by(o.move != nullptr                       ? transfer::call
             : o.size == k_word && o.align <= k_word ? transfer::word
                                                     : transfer::bytes),
          capacity(n), ops(&o) {}

    // Protects what is not const or atomic, and the records that are linked here. While it is held:
    // nothing of the user's but a noexcept move or the destructor of what was moved from, no
    // ready(), no allocation.
    [[no_unique_address]] rt::lock mu{rt::lock_rank::hchan};

    // The atomic ones are written under mu, and read without it by operations that would fail.
    base::atomic<bool> closed{false};
    bool orphaned = false;                 // no handle is left, but for records that still wait
    const transfer by : 7;
    bool timed : 1 = false;                // a timer's channel, of time.cc; never changes
    base::atomic<std::size_t> count{0};    // values in the buffer
    const std::size_t capacity;
    std::size_t recv_index = 0;            // the slot of the first value
    const elem_ops* const ops;
    // What receivers have given back whose moves threw; first in line.
    base::atomic<box*> returned{nullptr};
    [[no_unique_address]] wait_queue recvq;
    // See ORD(chan-handles). There is not the memory for more of them than this counts.
    base::atomic<std::uint32_t> handles{1};
    [[no_unique_address]] wait_queue sendq;
    // Counts what may have made an operation possible; for a select's looks at several channels,
    // between which it does not come around.
    base::atomic<std::uint32_t> changes{0};

    // The slots stand behind the channel, in the same memory.
    static std::size_t buffer_offset(const elem_ops& o) noexcept {
        return (sizeof(hchan) + o.align - 1) & ~(o.align - 1);
    }
    void* slot(std::size_t index) noexcept {
        auto* const self = reinterpret_cast<std::byte*>(this);
        if (by == transfer::word) [[likely]]
            return self + sizeof(hchan) + index * k_word;
        return self + buffer_offset(*ops) + index * ops->size;
    }

    static constexpr std::size_t k_word = sizeof(std::uint64_t);
};
static_assert(sizeof(hchan) == 96);

// The queues, for whoever holds mu.

// Appends a record whose fields the caller has set, and names the channel in it.
void enqueue(hchan* c, wait_queue& q, rt::waiter* w) noexcept;
// The first record that its waker may complete, unlinked; a select's is won by this, which stores
// its index + 1 in the select's decision word (ORD(select-fired)). Or nullptr.
// Its owner goes on only when it is readied, and then never touches the channel.
rt::waiter* dequeue(wait_queue& q) noexcept;
// Unlinks a record if it still is on its queue. For a select's losing cases.
bool unlink(hchan* c, wait_queue& q, rt::waiter* w) noexcept;

// Sends, or receives; empty: it cannot be done at once, and the record, whose fields the caller has
// set, is linked. From then on the record is its waker's, and the channel may be gone unless the
// caller holds a handle. Sending throws as send does. Nil: nothing ever happens.
recv_status send_or_enqueue(hchan* c, rt::waiter& w);
recv_status recv_or_enqueue(hchan* c, rt::waiter& w);

// Sends without blocking, for whoever holds mu and has no use for the values that nobody takes: to
// the first receiver, who is returned and must be readied once mu is released; else into the
// buffer, unless it is full.
rt::who offer(hchan* c, void* value) noexcept;
// Forgets what is in the buffer, of a type that needs no destruction. Whether there was anything.
bool discard(hchan* c) noexcept;

// All handles and records are gone: nobody else knows the channel.
void destroy_channel(hchan* c) noexcept;
// What destroy_channel does first for a timer's: no timer fires any more when it returns.
void end_timed(hchan* c) noexcept;
// Whether try_recv would find nothing at this moment; takes no lock.
bool hchan_recv_blocks(const hchan* c) noexcept;

}  // namespace pirn::detail
