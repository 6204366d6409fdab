// SPDX-License-Identifier: MIT
// Cancellation as the layers below ctx see it: whether a source is done, why, and a record that is
// told when it is. Every wait of runtime/, sync/, chan/ and net/ that takes a context goes by this.
//
// A wait that can be cancelled has two wakers: that of the object it waits on, and the source. They
// decide by one word on the waiter's frame, which both find in their records:
//   1. The waiter takes the source's lock, then that of the object; looks at both again; links a
//      record with each, and parks. The locks are released once its stack is left.
//   2. Each waker unlinks its record, under its own lock, and takes the word from 0 to what says
//      who it is. The one that succeeds readies the waiter; the other leaves it alone.
//   3. Woken, the waiter takes the lock of the one that lost, and its record off if it is still
//      linked. So neither of them, nor who unlocks in step 1, looks at a frame that is gone.
//
// Where the object's wakers decide by its own lock (runtime/sema.h), so does the source, in place
// of the word, and 1 takes the locks one after the other: a source that comes before the waiter
// sleeps leaves word.
#pragma once

#include <cstdint>

#include <pirn/cancellation.h>

#include "runtime/base/atomic.h"
#include "runtime/lock.h"
#include "runtime/park.h"

namespace pirn::rt {

// A place in the list of a source.
struct cancel_link {
    cancel_link* next = nullptr;
    cancel_link** slot = nullptr;   // what points to this; nullptr: it is not in a list
    std::uint8_t kind = k_waiter;   // the others are ctx's
    static constexpr std::uint8_t k_waiter = 0;
};

struct cancel_source {
    // Protects the list, and the places in it. While it is held: no user code, no ready(), no
    // allocation but that of timers.
    lock mu{lock_rank::context};
    // Written under mu; 0 while it is not done, then a context_errc in k_why, for good. The other
    // bits are ctx's.
    base::atomic<std::uint32_t> state{0};
    static constexpr std::uint32_t k_why = 3;

    // Guarded by mu. Once it is done nobody joins the list.
    cancel_link* listeners = nullptr;

    bool is_done() const noexcept {
        // ORD(cancelled): acquire; pairs with the release of who cancels it.
        return (state.load(std::memory_order_acquire) & k_why) != 0;
    }
    void link(cancel_link* l) noexcept {
        l->next = listeners;
        if (listeners != nullptr) listeners->slot = &l->next;
        l->slot = &listeners;
        listeners = l;
    }
    static void unlink(cancel_link* l) noexcept {
        *l->slot = l->next;
        if (l->next != nullptr) l->next->slot = l->slot;
        l->next = nullptr;
        l->slot = nullptr;
    }
};

// A caller who waits, on its frame.
struct cancel_waiter : cancel_link {
    who owner;
    // 0 until a waker has won; 1 + a case's number, or k_cancelled.
    base::atomic<std::uint32_t> fired{0};
    static constexpr std::uint32_t k_cancelled = ~std::uint32_t{0};

    // Step 2, for the source, which holds its lock and has unlinked it: whom to ready, if anybody.
    who (*claim)(cancel_waiter*) noexcept = &claim_word;
    static who claim_word(cancel_waiter* w) noexcept {
        std::uint32_t undecided = 0;
        // ORD(select-fired): acq_rel; pairs with the other waker's.
        const bool won = w->fired.compare_exchange(
            undecided, k_cancelled, std::memory_order_acq_rel, std::memory_order_relaxed);
        return won ? w->owner : who();
    }
    // Before it parks, with the source's lock held.
    void join(cancel_source* s) noexcept {
        source = s;
        s->link(this);
    }
    // The same, with the lock taken for it. False: the source is done.
    bool join_unless_done(cancel_source* s) noexcept {
        const lock_guard hold(s->mu);
        if (s->is_done()) return false;
        join(s);
        return true;
    }
    // Once its owner has been woken.
    bool was_cancelled() const noexcept {
        // Relaxed: ready() has made it visible.
        return fired.load(std::memory_order_relaxed) == k_cancelled;
    }
    // Step 3; also where the run ends and its owner never goes on.
    void leave() noexcept {
        cancel_source* s = source;
        if (s == nullptr) return;
        const lock_guard hold(s->mu);
        if (slot != nullptr) cancel_source::unlink(this);
    }
    // For a source that is given up although somebody waits: a goroutine that will never go on.
    void forsake() noexcept {
        cancel_source::unlink(this);
        source = nullptr;
    }

  private:
    base::relaxed_ptr<cancel_source> source;
};

// Why the source is done; only for one that is.
std::error_code cancel_reason(const cancel_source* s) noexcept;

}  // namespace pirn::rt
