// SPDX-License-Identifier: MIT
// The untyped select (Go's select.go): one of several channel operations.
//
//   1. Looks at each channel without its lock. Of those that seem possible one is chosen at random
//      and tried, by its channel alone, as try_send and try_recv do. Success ends the select; else
//      somebody was faster, and it begins anew.
//   2. With an otherwise, and nothing possible: that is the answer, if no channel has changed since
//      it was looked at (look.h).
//   3. Locks all channels, in the order of their addresses, and looks again. If anything is
//      possible by now: unlocks, and begins anew.
//   4. Links a record with each channel and parks. The locks are released once the stack is left.
//   5. The first counterpart to write its case's number into the decision word has won, and
//      completes that case as it would a plain operation. The others pass over the records that are
//      left.
//   6. Woken, it takes those off, one channel after the other.
//
// Rejected: to lock all channels first, as Go does. Only to wait needs them all at once.
//
// The frame: who unlocks in step 4 reads the records until the last channel is free, while a
// counterpart at the first may have won already. Step 6 therefore locks every channel but that of
// the winner. Channels: a counterpart may drop the last handles of all of them as soon as it has
// won, so a parked select holds one of each.
#include <pirn/select.h>

#include <functional>
#include <memory>
#include <new>

#include <pirn/runtime.h>

#include "chan/hchan.h"
#include "chan/look.h"
#include "runtime/base/alloc.h"
#include "runtime/park.h"
#include "runtime/waiter.h"

namespace pirn::detail {
namespace {

// A case that waits.
struct waiting : rt::waiter {
    const select_entry* of = nullptr;
};
static_assert(sizeof(waiting) <= sizeof(select_entry::waiting) &&
              alignof(waiting) <= alignof(void*) && std::is_trivially_destructible_v<waiting>);

waiting* waiting_of(select_entry& e) noexcept {
    return std::launder(reinterpret_cast<waiting*>(e.waiting));
}

waiting* next_of(const waiting* w) noexcept { return static_cast<waiting*>(w->next_case); }

wait_queue& queue_of(const waiting* w) noexcept {
    return w->of->sends ? w->of->c->sendq : w->of->c->recvq;
}

// The records of one channel stand together.
bool is_last_of_channel(const waiting* w) noexcept {
    return w->next_case == nullptr || next_of(w)->of->c != w->of->c;
}

bool seems_possible(const select_entry& e) noexcept {
    return !(e.sends ? hchan_send_blocks(e.c) : hchan_recv_blocks(e.c));
}

// Step 1: one of the cases that seem possible, or -1.
int choose(select_entry* entries, int count) noexcept {
    int chosen = -1;
    std::uint32_t possible = 0;
    for (int i = 0; i < count; ++i) {
        select_entry& e = entries[i];
        if (e.c == nullptr) continue;
        e.seen = changes_before(e.c);
        if (!seems_possible(e)) continue;
        // The k-th takes the place with a chance of 1 in k: each is kept with the same.
        if (++possible == 1 || rt::random_below(possible) == 0) chosen = i;
    }
    return chosen;
}

// False: somebody was faster.
bool try_case(const select_entry& e, bool& ok) {
    if (e.sends) return ok = hchan_try_send(e.c, e.elem);
    const recv_status status = hchan_try_recv(e.c, e.elem);
    ok = status == recv_status::ok;
    return status != recv_status::empty;
}

// Step 2.
bool nothing_has_changed(const select_entry* entries, int count) noexcept {
    for (int i = 0; i < count; ++i) {
        const select_entry& e = entries[i];
        if (e.c != nullptr && has_changed(e.c, e.seen)) return false;
    }
    return true;
}

// All records in the order of their channels' addresses.
waiting* merge(waiting* a, waiting* b) noexcept {
    rt::waiter* head = nullptr;
    rt::waiter** end = &head;
    while (a != nullptr && b != nullptr) {
        waiting*& first = std::less<>()(b->of->c, a->of->c) ? b : a;
        *end = first;
        end = &first->next_case;
        first = next_of(first);
    }
    *end = a != nullptr ? a : b;
    return static_cast<waiting*>(head);
}

waiting* in_lock_order(select_entry* entries, int count) noexcept {
    constexpr int k_few = 8;
    if (count > k_few)
        return merge(in_lock_order(entries, count / 2),
                     in_lock_order(entries + count / 2, count - count / 2));
    waiting* first = nullptr;
    for (int i = 0; i < count; ++i) {
        if (entries[i].c != nullptr) first = merge(first, waiting_of(entries[i]));
    }
    return first;
}

void lock_all(waiting* first) noexcept {
    for (waiting* w = first; w != nullptr; w = next_of(w)) {
        if (is_last_of_channel(w)) w->of->c->mu.acquire();
    }
}

// Touches no record once the last channel is free, nor a record of one that is.
void unlock_all(void* first) noexcept {
    for (auto* w = static_cast<waiting*>(first); w != nullptr;) {
        waiting* following = next_of(w);
        if (is_last_of_channel(w)) w->of->c->mu.release();
        w = following;
    }
}

// A record's way off its queue when its run ends: see waiter.h. The channel is held until its last
// record is dropped.
bool drop_waiting(rt::waiter* base) noexcept {
    auto* w = static_cast<waiting*>(base);
    hchan* c = w->of->c;
    c->mu.acquire();
    const bool was_linked = unlink(c, queue_of(w), w);
    c->mu.release();
    if (is_last_of_channel(w)) hchan_release(c);
    return was_linked;
}

// Step 6: takes the losing records off. Nothing is let go of before all are, because the end of a
// channel is the end of values in it, and user code.
void leave(waiting* first, const waiting* winner) noexcept {
    for (waiting* w = first; w != nullptr;) {
        hchan* c = w->of->c;
        if (w == winner && is_last_of_channel(w)) {
            w = next_of(w);
            continue;
        }
        c->mu.acquire();
        for (bool last = false; !last; w = next_of(w)) {
            last = is_last_of_channel(w);
            unlink(c, queue_of(w), w);
        }
        c->mu.release();
    }
    for (waiting* w = first; w != nullptr; w = next_of(w)) {
        if (is_last_of_channel(w)) hchan_release(w->of->c);
    }
}

[[noreturn]] [[gnu::cold]] [[gnu::noinline]] void throw_send_on_closed() {
    throw panic("send on closed channel");
}

// Steps 4 to 6, with all channels locked. True: a value went.
bool park_on_all(select_entry* entries, waiting* first, base::atomic<std::uint32_t>& decision,
                 int& index) {
    {
        rt::parker self;
        for (waiting* w = first; w != nullptr; w = next_of(w)) {
            w->owner = self.name();
            enqueue(w->of->c, queue_of(w), w);
            if (is_last_of_channel(w)) hchan_retain(w->of->c);
        }
        self.park([](void* all) { unlock_all(all); }, first, rt::wait_reason::select, first);
    }
    // Relaxed: ready() has made what the winner wrote visible.
    index = static_cast<int>(decision.load(std::memory_order_relaxed)) - 1;
    const waiting* winner = waiting_of(entries[index]);
    leave(first, winner);
    if (!winner->success && winner->of->sends) throw_send_on_closed();
    return winner->success;
}

enum class wait_result : std::uint8_t { done, nothing, look_again };

// Steps 3 to 6. May block.
[[gnu::noinline]] wait_result wait_for_one(select_entry* entries, int count, int otherwise,
                                           int& index, bool& ok) {
    base::atomic<std::uint32_t> decision{0};
    for (int i = 0; i < count; ++i) {
        select_entry& e = entries[i];
        if (e.c == nullptr) continue;
        auto* w = ::new (e.waiting) waiting;
        w->elem = e.elem;
        w->is_select = true;
        w->index = static_cast<std::uint32_t>(i);
        w->fired = &decision;
        w->drop = &drop_waiting;
        w->of = &e;
    }
    waiting* first = in_lock_order(entries, count);
    if (first == nullptr) rt::park_forever(rt::wait_reason::select);
    lock_all(first);
    for (waiting* w = first; w != nullptr; w = next_of(w)) {
        if (!seems_possible(*w->of)) continue;
        unlock_all(first);
        return wait_result::look_again;
    }
    if (otherwise >= 0) {
        unlock_all(first);
        return wait_result::nothing;
    }
    ok = park_on_all(entries, first, decision, index);
    return wait_result::done;
}

}  // namespace

bool select_among(select_entry* entries, int count, int otherwise, int& index) {
    for (;;) {
        bool ok = false;
        index = choose(entries, count);
        if (index >= 0) {
            if (try_case(entries[index], ok)) return ok;
            continue;
        }
        index = otherwise;
        if (otherwise >= 0 && nothing_has_changed(entries, count)) return false;
        switch (wait_for_one(entries, count, otherwise, index, ok)) {
            case wait_result::done: return ok;
            case wait_result::nothing: return false;
            case wait_result::look_again: break;
        }
    }
}

void select_no_cases() { rt::park_forever(rt::wait_reason::select_no_cases); }

}  // namespace pirn::detail

namespace pirn {

int select(std::span<select_case> cases) {
    using detail::select_entry;
    if (cases.empty()) select();
    const auto count = static_cast<int>(cases.size());
    struct deleter {
        void operator()(select_entry* e) const noexcept { base::deallocate(e); }
    };
    const std::unique_ptr<select_entry, deleter> memory(
        static_cast<select_entry*>(base::allocate(cases.size() * sizeof(select_entry))));
    select_entry* entries = memory.get();
    int otherwise = -1;
    for (int i = 0; i < count; ++i) {
        detail::erased_case* impl = cases[static_cast<std::size_t>(i)].impl_.get();
        auto* e = ::new (entries + i) select_entry;
        if (impl == nullptr) continue;
        impl->enter(*e);
        if (!impl->is_otherwise()) continue;
        if (otherwise >= 0) throw panic("select: multiple default cases");
        otherwise = i;
    }
    for (;;) {
        int index = 0;
        bool ok = false;
        try {
            ok = detail::select_among(entries, count, otherwise, index);
        } catch (...) {
            cases[static_cast<std::size_t>(index)].impl_.reset();
            throw;
        }
        // Spent before its handler runs, which may use the cases.
        select_case& chosen = cases[static_cast<std::size_t>(index)];
        std::unique_ptr<detail::erased_case> impl = std::move(chosen.impl_);
        if (impl->finish(ok)) return index;
        chosen.impl_ = std::move(impl);
    }
}

}  // namespace pirn
