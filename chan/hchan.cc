// SPDX-License-Identifier: MIT
// The untyped channel: send, receive, close, and the life of a channel.
//
// One lock protects a channel. An operation takes it once, finds either a waiting counterpart, or
// its place in the buffer, or nothing, and then:
//   1. Counterpart: takes its record off the queue, moves the value between the two stacks (or
//      through the buffer, so that the order stays), marks success, unlocks, readies it.
//   2. Place in the buffer: moves the value, unlocks.
//   3. Nothing: fails, or links a record on its own frame and parks; the lock is released once its
//      stack is left, so that no counterpart finds a goroutine that still runs.
// The one that is woken reads its own record and never the channel, which may be gone: a waiting
// record holds the channel not by a count (two atomic operations for each park), but by being
// linked, which the last handle looks at under the lock. For the same reason nobody touches a
// channel after he unlocked it, unless he holds a handle of his own.
#include "chan/hchan.h"
#include "chan/look.h"

#include <cstring>
#include <limits>

#include <sched.h>

#include <pirn/runtime.h>

#include "runtime/base/alloc.h"
#include "runtime/base/check.h"
#include "runtime/park.h"
#include "runtime/sema.h"

namespace pirn::detail {

// The header in front of a boxed value.
struct box {
    static constexpr std::uint32_t k_filled = 0, k_filling = 1, k_void = 2;
    base::atomic<std::uint32_t> state;
    box* next = nullptr;   // on hchan::returned
    void* value = nullptr;
};

// The queues.

void enqueue(hchan* c, wait_queue& q, rt::waiter* w) noexcept {
    w->object = c;
    q.records.push_back(w);
    set_size(q, q.size.load(std::memory_order_relaxed) + 1);
    count_change(c);
}

namespace {

void detach(wait_queue& q, rt::waiter* w) noexcept {
    q.records.remove(w);
    w->object = nullptr;
    set_size(q, q.size.load(std::memory_order_relaxed) - 1);
}

// Whether a select's record is ours to complete: the first waker of all its cases wins.
bool win(rt::waiter* w) noexcept {
    std::uint32_t undecided = 0;
    // ORD(select-fired): acq_rel; pairs with itself, of wakers on other channels of the select.
    return w->fired->compare_exchange(undecided, w->index + 1, std::memory_order_acq_rel,
                                      std::memory_order_relaxed);
}

}  // namespace

rt::waiter* dequeue(wait_queue& q) noexcept {
    while (rt::waiter* w = q.records.front()) {
        detach(q, w);
        if (!w->is_select || win(w)) [[likely]]
            return w;
    }
    return nullptr;
}

bool unlink(hchan* c, wait_queue& q, rt::waiter* w) noexcept {
    if (w->object != c) return false;
    detach(q, w);
    return true;
}

// The buffer and the values, for whoever holds the lock.

namespace {

[[gnu::noinline]] void move_other(const hchan* c, void* to, void* from) noexcept {
    if (c->by == transfer::call) {
        const rt::no_preemption guard;
        c->ops->move(to, from);
    } else {
        std::memcpy(to, from, c->ops->size);
    }
}

[[gnu::always_inline]] inline void move_value(const hchan* c, void* to, void* from) noexcept {
    if (c->by == transfer::word) [[likely]]
        std::memcpy(to, from, hchan::k_word);
    else
        move_other(c, to, from);
}

[[gnu::noinline]] void destroy_value(const elem_ops& ops, void* value) noexcept {
    const rt::no_preemption guard;
    ops.destroy(value);
}

std::size_t count_of(const hchan* c) noexcept { return c->count.load(std::memory_order_relaxed); }

bool is_closed(const hchan* c) noexcept { return c->closed.load(std::memory_order_relaxed); }

// As the last of n + 1 values.
[[gnu::always_inline]] inline void put_last(hchan* c, std::size_t n, void* value) noexcept {
    const std::size_t to_end = c->capacity - c->recv_index;
    move_value(c, c->slot(n < to_end ? c->recv_index + n : n - to_end), value);
}

[[gnu::always_inline]] inline void take_first(hchan* c, void* storage) noexcept {
    void* first = c->slot(c->recv_index);
    move_value(c, storage, first);
    if (c->by == transfer::call && c->ops->destroy != nullptr) destroy_value(*c->ops, first);
    c->recv_index = c->recv_index + 1 == c->capacity ? 0 : c->recv_index + 1;
}

box* first_returned(const hchan* c) noexcept { return c->returned.load(std::memory_order_relaxed); }

// Ends an operation that completed a waiting counterpart's.
void unlock_and_ready(hchan* c, rt::waiter* w) {
    w->success = true;
    const rt::who owner = w->owner;
    c->mu.release();
    rt::ready(owner);
}

// Records that are being dropped. While there are any, no channel's memory is given back: a foreign
// thread may be taking the same record off, after which nothing holds the channel for this one.
base::atomic<std::uint32_t> drops{0};

// A record's way off the queue when its run ends: see waiter.h.
template <wait_queue hchan::*Queue>
bool drop_record(rt::waiter* w) noexcept {
    // ORD(chan-drop): seq_cst, before the channel is read from the record; pairs with the fence in
    // destroy_channel, before which its last waker took the channel out of the record.
    drops.fetch_add(1, std::memory_order_seq_cst);
    bool was_linked = false, last = false;
    auto* c = static_cast<hchan*>(w->object.get());
    if (c != nullptr) {
        c->mu.acquire();
        was_linked = unlink(c, c->*Queue, w);
        last = c->orphaned && c->recvq.records.empty() && c->sendq.records.empty();
        c->mu.release();
    }
    // ORD(chan-drop): release; the channel is not used any more. Pairs with destroy_channel.
    drops.fetch_sub(1, std::memory_order_release);
    if (last) destroy_channel(c);
    return was_linked;
}

// Parks on a queue, with the lock held, until a counterpart or close takes the record. True: by a
// counterpart. The channel may be gone when this returns.
template <wait_queue hchan::*Queue>
[[gnu::noinline]] bool park_on(hchan* c, void* value, rt::wait_reason reason) {
    rt::parker self;
    rt::waiter w;
    w.owner = self.name();
    w.elem = value;
    w.drop = &drop_record<Queue>;
    enqueue(c, c->*Queue, &w);
    self.park([](void* channel) { static_cast<hchan*>(channel)->mu.release(); }, c, reason, &w);
    return w.success;
}

[[noreturn]] [[gnu::cold]] [[gnu::noinline]] void throw_send_on_closed() {
    throw panic("send on closed channel");
}

// Sends if it can be done at once, and unlocks; false: it cannot, and the lock is held still.
[[gnu::always_inline]] inline bool send_at_once(hchan* c, void* value) {
    if (is_closed(c)) [[unlikely]] {
        c->mu.release();
        throw_send_on_closed();
    }
    if (rt::waiter* receiver = dequeue(c->recvq)) {
        move_value(c, receiver->elem, value);
        unlock_and_ready(c, receiver);
        return true;
    }
    const std::size_t n = count_of(c);
    if (n < c->capacity) {
        put_last(c, n, value);
        set_count(c, n + 1);
        c->mu.release();
        return true;
    }
    return false;
}

// The first in line of what was given back.
[[gnu::cold]] [[gnu::noinline]] void take_returned(hchan* c, void* storage) noexcept {
    box* b = first_returned(c);
    set_returned(c, b->next);
    *static_cast<void**>(storage) = b->value;
    c->mu.release();
}

// Receives if it can be done at once, and unlocks; empty: it cannot, and the lock is held still.
[[gnu::always_inline]] inline recv_status recv_at_once(hchan* c, void* storage) {
    if (first_returned(c) != nullptr) [[unlikely]] {
        take_returned(c, storage);
        return recv_status::ok;
    }
    const std::size_t n = count_of(c);
    if (n > 0) {
        take_first(c, storage);
        // A sender waits only when the buffer is full: its value takes the slot that came free,
        // which is the last.
        if (rt::waiter* sender = dequeue(c->sendq)) {
            put_last(c, n - 1, sender->elem);
            unlock_and_ready(c, sender);
        } else {
            set_count(c, n - 1);
            c->mu.release();
        }
        return recv_status::ok;
    }
    if (rt::waiter* sender = dequeue(c->sendq)) {
        move_value(c, storage, sender->elem);
        unlock_and_ready(c, sender);
        return recv_status::ok;
    }
    if (is_closed(c)) {
        c->mu.release();
        return recv_status::closed;
    }
    return recv_status::empty;
}

}  // namespace

// The operations.

void hchan_send(hchan* c, void* value) {
    if (c == nullptr) [[unlikely]]
        rt::park_forever(rt::wait_reason::chan_send_nil);
    c->mu.acquire();
    if (send_at_once(c, value)) return;
    if (!park_on<&hchan::sendq>(c, value, rt::wait_reason::chan_send)) throw_send_on_closed();
}

namespace {

// Apart from the looks before them, which so need no frame.
[[gnu::noinline]] bool try_send_locked(hchan* c, void* value) {
    c->mu.acquire();
    if (send_at_once(c, value)) return true;
    c->mu.release();
    return false;
}

[[gnu::noinline]] recv_status try_recv_locked(hchan* c, void* storage) {
    c->mu.acquire();
    const recv_status status = recv_at_once(c, storage);
    if (status == recv_status::empty) c->mu.release();
    return status;
}

}  // namespace

bool hchan_try_send(hchan* c, void* value) {
    return c != nullptr && !send_would_block(c) && try_send_locked(c, value);
}

recv_status send_or_enqueue(hchan* c, rt::waiter& w) {
    if (c == nullptr) return recv_status::empty;
    c->mu.acquire();
    if (send_at_once(c, w.elem)) return recv_status::ok;
    enqueue(c, c->sendq, &w);
    c->mu.release();
    return recv_status::empty;
}

recv_status recv_or_enqueue(hchan* c, rt::waiter& w) {
    if (c == nullptr) return recv_status::empty;
    c->mu.acquire();
    const recv_status status = recv_at_once(c, w.elem);
    if (status != recv_status::empty) return status;
    enqueue(c, c->recvq, &w);
    c->mu.release();
    return recv_status::empty;
}

bool hchan_send_blocks(const hchan* c) noexcept { return c == nullptr || send_would_block(c); }

bool hchan_recv(hchan* c, void* storage) {
    if (c == nullptr) [[unlikely]]
        rt::park_forever(rt::wait_reason::chan_receive_nil);
    c->mu.acquire();
    const recv_status status = recv_at_once(c, storage);
    if (status != recv_status::empty) return status == recv_status::ok;
    return park_on<&hchan::recvq>(c, storage, rt::wait_reason::chan_receive);
}

recv_status hchan_try_recv(hchan* c, void* storage) {
    if (c == nullptr) return recv_status::empty;
    const recv_status look = look_to_receive(c);
    return look == recv_status::ok ? try_recv_locked(c, storage) : look;
}

bool hchan_recv_blocks(const hchan* c) noexcept {
    return c == nullptr || (looks_empty(c) && !is_closed_now(c));
}

void hchan_close(hchan* c) {
    if (c == nullptr) throw panic("close of nil channel");
    c->mu.acquire();
    if (is_closed(c)) {
        c->mu.release();
        throw panic("close of closed channel");
    }
    set_closed(c);
    // Nobody joins the queues any more. They are emptied in batches, so that nothing on a waiter's
    // frame is touched after the lock is released; for a second one the channel must still exist,
    // although the first to wake may have let go of the last handle, the caller's.
    constexpr std::size_t k_batch = 32;
    bool held = false;
    for (;;) {
        rt::who woken[k_batch];
        std::size_t n = 0;
        while (n < k_batch) {
            rt::waiter* w = dequeue(c->recvq);
            if (w == nullptr) w = dequeue(c->sendq);
            if (w == nullptr) break;
            w->success = false;
            woken[n] = w->owner;
            woken[n++].prefetch();
        }
        const bool more = n == k_batch;
        if (more && !held) {
            hchan_retain(c);
            held = true;
        }
        c->mu.release();
        for (std::size_t i = 0; i < n; ++i) rt::ready(woken[i]);
        if (!more) break;
        c->mu.acquire();
    }
    if (held) hchan_release(c);
}

std::size_t hchan_len(const hchan* c) noexcept {
    // Relaxed: a number that may be old when it is read, and publishes nothing.
    return c == nullptr || c->timed ? 0 : c->count.load(std::memory_order_relaxed);
}

std::size_t hchan_cap(const hchan* c) noexcept {
    return c == nullptr || c->timed ? 0 : c->capacity;
}

rt::who offer(hchan* c, void* value) noexcept {
    if (rt::waiter* receiver = dequeue(c->recvq)) {
        move_value(c, receiver->elem, value);
        receiver->success = true;
        return receiver->owner;
    }
    const std::size_t n = count_of(c);
    if (n < c->capacity) {
        put_last(c, n, value);
        set_count(c, n + 1);
    }
    return {};
}

bool discard(hchan* c) noexcept {
    if (count_of(c) == 0) return false;
    set_count(c, 0);
    return true;
}

// The life of a channel.

void destroy_channel(hchan* c) noexcept {
    if (c->timed) [[unlikely]]
        end_timed(c);
    const elem_ops& ops = *c->ops;
    while (box* b = first_returned(c)) {
        set_returned(c, b->next);
        ops.destroy(&b->value);
    }
    if (ops.destroy != nullptr) {
        std::size_t at = c->recv_index;
        for (std::size_t n = count_of(c); n > 0; --n) {
            ops.destroy(c->slot(at));
            at = at + 1 == c->capacity ? 0 : at + 1;
        }
    }
    // ORD(chan-drop): seq_cst fence and acquire; pair with the two sides of drop_record.
    base::fence(std::memory_order_seq_cst);
    while (drops.load(std::memory_order_acquire) != 0) ::sched_yield();
    base::destroy(c);
}

namespace {

[[gnu::noinline]] void release_last(hchan* c) noexcept {
    c->mu.acquire();
    // Records that still wait on a channel without handles wait for ever; it stays until the end of
    // their run drops them.
    c->orphaned = !c->recvq.records.empty() || !c->sendq.records.empty();
    const bool last = !c->orphaned;
    c->mu.release();
    if (last) destroy_channel(c);
}

}  // namespace

hchan* hchan_make(const elem_ops& ops, std::size_t capacity) {
    // What no address space holds is a mistake in the number; what only this machine's memory does
    // not hold is std::bad_alloc.
    constexpr std::size_t k_max_bytes = std::size_t{1} << 47;
    const std::size_t offset = hchan::buffer_offset(ops);
    std::size_t bytes = 0;
    if (capacity > static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max()) ||
        __builtin_mul_overflow(capacity, ops.size, &bytes) || bytes > k_max_bytes - offset)
        throw panic("makechan: size out of range");
    const std::size_t align = ops.align > alignof(hchan) ? ops.align : alignof(hchan);
    auto* memory = static_cast<std::byte*>(base::allocate(offset + bytes, align));
    return ::new (memory) hchan(ops, capacity);
}

void hchan_retain(hchan* c) noexcept {
    // Relaxed: the caller has a handle already, so that the count publishes nothing.
    if (c != nullptr) c->handles.fetch_add(1, std::memory_order_relaxed);
}

void hchan_release(hchan* c) noexcept {
    if (c == nullptr) return;
    // ORD(chan-handles): acq_rel; each release pairs with the acquire of the last one, which
    // destroys what the others have used.
    if (c->handles.fetch_sub(1, std::memory_order_acq_rel) == 1) release_last(c);
}

// Boxes.

namespace {

std::size_t box_offset(std::size_t align) noexcept {
    return (sizeof(box) + align - 1) / align * align;
}

box* box_of(void* value, std::size_t align) noexcept {
    return reinterpret_cast<box*>(static_cast<std::byte*>(value) - box_offset(align));
}

}  // namespace

void* box_make(std::size_t size, std::size_t align, bool filled) {
    const std::size_t offset = box_offset(align);
    auto* memory = static_cast<std::byte*>(
        base::allocate(offset + size, align > alignof(box) ? align : alignof(box)));
    box* b = ::new (memory) box{.state = base::atomic(filled ? box::k_filled : box::k_filling)};
    b->value = memory + offset;
    return b->value;
}

void box_free(void* value, std::size_t align) noexcept { base::destroy(box_of(value, align)); }

void box_settle(void* value, std::size_t align, bool filled) noexcept {
    box* b = box_of(value, align);
    // ORD(box): release; pairs with the acquire in box_wait. The box belongs to the receiver from
    // here on; only its address is used.
    b->state.store(filled ? box::k_filled : box::k_void, std::memory_order_release);
    rt::sema_wake_all(b, 0);
}

bool box_wait(void* value, std::size_t align) {
    box* b = box_of(value, align);
    for (;;) {
        // ORD(box): acquire; pairs with the release in box_settle.
        const std::uint32_t state = b->state.load(std::memory_order_acquire);
        if (state != box::k_filling) [[likely]]
            return state == box::k_filled;
        rt::sema_park(
            b,
            [](void* arg) {
                // Relaxed: the loop looks again.
                return static_cast<box*>(arg)->state.load(std::memory_order_relaxed) ==
                       box::k_filling;
            },
            b, false, rt::wait_reason::chan_receive);
    }
}

void hchan_give_back(hchan* c, void* value, std::size_t align) noexcept {
    c->mu.acquire();
    if (rt::waiter* receiver = dequeue(c->recvq)) {
        *static_cast<void**>(receiver->elem) = value;
        unlock_and_ready(c, receiver);
        return;
    }
    box* b = box_of(value, align);
    b->next = first_returned(c);
    set_returned(c, b);
    count_change(c);
    c->mu.release();
}

}  // namespace pirn::detail
