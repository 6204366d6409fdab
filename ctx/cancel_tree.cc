// SPDX-License-Identifier: MIT
// How what is cancelled is cancelled with all that is below it, and how nodes come and go.
//
// Cancelling a node:
//   1. Under its lock: sets the cause and the state, disarms the timer. The first one to do so goes
//      on; the others wait until it has got through.
//   2. Closes the node's channel.
//   3. Takes what is in the list, one after the other: readies who waits, starts goroutines for the
//      functions, and does 1 to 3 for a child, whose list comes before the rest of this one. The
//      way back is kept in the children's links, so no depth of the tree needs stack.
//   4. With the list empty the node is complete, and who waits for that is woken.
//   5. The root of all this leaves the list of the node above it. References are let go of, and
//      functions that are called right here are called, when everything is complete: both may run
//      user code, which may cancel the same tree.
// Who waits in step 1 waits for one who works in that node or below it, who in turn waits only for
// those further below: nobody waits for each other.
//
// Locks are taken one at a time. A parent finds its children in its list, and may find there one
// whose last reference has just gone. It takes a reference under its lock, unless there is none: it
// then marks the child as passed over, and leaves it to who let go, who takes the parent's lock too
// before the node is freed (or goes on, kept by what waits for it). Timers do the same.
#include <functional>
#include <utility>

#include <sched.h>

#include "ctx/node.h"
#include "runtime/base/alloc.h"
#include "runtime/base/check.h"
#include "runtime/sema.h"

namespace pirn::detail {
namespace {

using rt::cancel_link;
using rt::cancel_source;
using rt::lock_guard;

cancel_node* child_of(cancel_link* l) noexcept { return static_cast<cancel_node*>(l); }
after_node* after_of(cancel_link* l) noexcept { return static_cast<after_node*>(l); }

// The timer of a node that is done or gone, with its lock held, which may be let go meanwhile. What
// is armed still afterwards has its function under way.
void disarm(deadline_node* n) noexcept {
    while (n->armed) {
        switch (rt::timer_cancel(n)) {
            case rt::cancelled::prevented: n->armed = false; return;
            case rt::cancelled::firing: return;
            case rt::cancelled::run_ends: break;
        }
        n->mu.release();
        ::sched_yield();
        n->mu.acquire();
    }
}

bool is_complete(const cancel_node* n) noexcept {
    // Relaxed: for who has set it, or is to set it.
    return (n->state.load(std::memory_order_relaxed) & cancel_node::k_complete) != 0;
}

// Steps 1 and 2, and 4 where that is all. False: somebody else does it, or has.
bool mark(cancel_node* n, std::uint32_t why, const std::exception_ptr& cause) noexcept {
    n->mu.acquire();
    if (n->is_done()) {
        n->mu.release();
        return false;
    }
    n->cause = cause;
    // A channel that is made from now on is made closed.
    hchan* done = n->done.load(std::memory_order_relaxed);
    const std::uint32_t complete =
        n->listeners == nullptr && done == nullptr ? cancel_node::k_complete : 0;
    // ORD(cancelled): release; publishes the cause. Pairs with the acquire in is_done. Nobody who
    // waits for the rest sets his bit before he sees this.
    n->state.store(why | complete, std::memory_order_release);
    if (n->what() == node_kind::deadline) disarm(static_cast<deadline_node*>(n));
    n->mu.release();
    if (done != nullptr) hchan_close(done);
    return true;
}

// Until everything below the node is done, too, whose cancelling another one has begun.
void wait_complete(cancel_node* n) noexcept {
    for (;;) {
        // ORD(cancel-complete): acquire; what was done below is visible. Pairs with complete.
        if ((n->state.load(std::memory_order_acquire) & cancel_node::k_complete) != 0) return;
        rt::sema_park(
            &n->state,
            [](void* arg) {
                auto& state = static_cast<cancel_node*>(arg)->state;
                // Relaxed: the loop looks again.
                const std::uint32_t old =
                    state.fetch_or(cancel_node::k_awaited, std::memory_order_relaxed);
                return (old & cancel_node::k_complete) == 0;
            },
            n, false, rt::wait_reason::semaphore);
    }
}

// Step 4.
void complete(cancel_node* n) noexcept {
    // ORD(cancel-complete): release; pairs with the acquire in wait_complete.
    const std::uint32_t old =
        n->state.fetch_or(cancel_node::k_complete, std::memory_order_release);
    if ((old & cancel_node::k_awaited) != 0) rt::sema_wake_all(&n->state, 0);
}

// What is left to do once all is complete, in a list by `next`.
struct leftovers {
    cancel_link* first = nullptr;
    void add(cancel_link* l) noexcept {
        l->next = first;
        first = l;
    }
};

// Starts the goroutine of a function whose context is done; it takes over the reference. False: it
// is to have none, or no run time runs.
bool start(after_node* a) noexcept {
    if (a->call.start == nullptr) return false;
    spawn_record* r = nullptr;
    try {
        r = new_record(sizeof(after_node*), alignof(after_node*));
    } catch (const panic&) {
        return false;
    }
    ::new (r->closure) after_node*(a);
    r->invoke = a->call.start;
    r->created_at = a->call.created_at;
    spawn(r);
    return true;
}

void call_inline(after_node* a) {
    a->call.call(a->call.function);
    release_after(a);
}

// The next in the list of a node that is done, unlinked; a child comes with a reference. nullptr:
// there is nothing more.
cancel_link* take_next(cancel_node* n, rt::who& woken) noexcept {
    const lock_guard hold(n->mu);
    while (cancel_link* l = n->listeners) {
        cancel_source::unlink(l);
        if (l->kind == k_child) {
            if (try_retain(child_of(l))) return l;
            child_of(l)->passed_over = true;
        } else if (l->kind == k_after) {
            return l;
        } else {
            auto* w = static_cast<rt::cancel_waiter*>(l);
            woken = w->claim(w);
            // The record may be gone as soon as the lock is free.
            if (woken) return l;
        }
    }
    return nullptr;
}

// Gives up the reference to a node that somebody else cancels or has cancelled. That one's list of
// leftovers may be where its link is, as long as there is another reference. The last one is for
// the end, as it may run user code.
void leave(cancel_node* n, leftovers& rest) noexcept {
    // ORD(context-refs): acquire; the others' use of the link is over. Pairs with their releases.
    std::uint32_t refs = n->refs.load(std::memory_order_acquire);
    while (refs != 1) {
        // ORD(context-refs): acq_rel; as in release_context.
        if (n->refs.compare_exchange_weak(refs, refs - 1, std::memory_order_acq_rel,
                                          std::memory_order_acquire))
            return;
    }
    rest.add(n);
}

// Steps 3 and 4, for a node that this call has marked. `may_wait`: for those below that somebody
// else is at.
void descend(cancel_node* root, std::uint32_t why, leftovers& rest, bool may_wait) noexcept {
    const std::exception_ptr& cause = root->cause;
    cancel_node* n = root;
    for (;;) {
        rt::who woken;
        cancel_link* l = take_next(n, woken);
        if (woken) {
            rt::ready(woken);
        } else if (l == nullptr) {
            complete(n);
            if (n == root) return;
            // The way back is in the link, which then is the place among the leftovers.
            cancel_node* back = child_of(n->cancel_link::next);
            rest.add(n);
            n = back;
        } else if (l->kind == k_after) {
            if (!start(after_of(l))) rest.add(l);
        } else if (mark(child_of(l), why, cause)) {
            if (is_complete(child_of(l))) {
                rest.add(l);
                continue;
            }
            child_of(l)->cancel_link::next = n;
            n = child_of(l);
        } else {
            if (may_wait) wait_complete(child_of(l));
            leave(child_of(l), rest);
        }
    }
}

// Leaves the list of the node above.
void detach(cancel_node* n) noexcept {
    cancel_node* up = n->up;
    if (up == nullptr) return;
    up->mu.acquire();
    const bool linked = n->slot != nullptr;
    if (linked) cancel_source::unlink(n);
    up->mu.release();
    if (linked) after_leave(up);
}

// Lets go of the reference that a node which was waited for kept.
void let_go(cancel_node* n) noexcept {
    n->mu.acquire();
    const bool kept = std::exchange(n->keeps_itself, false);
    n->mu.release();
    if (kept) release_context(n);
}

// Step 5.
void finish(leftovers& rest) noexcept {
    while (cancel_link* l = rest.first) {
        rest.first = l->next;
        l->next = nullptr;
        if (l->kind == k_after) {
            call_inline(after_of(l));
        } else {
            if (child_of(l)->context_node::keeps_itself) let_go(child_of(l));
            release_context(child_of(l));
        }
    }
}

}  // namespace

void cancel_tree(cancel_node* n, context_errc why, std::exception_ptr cause) noexcept {
    const auto code = static_cast<std::uint32_t>(why);
    if (!mark(n, code, cause)) {
        wait_complete(n);
        return;
    }
    leftovers rest;
    if (!is_complete(n)) descend(n, code, rest, true);
    detach(n);
    finish(rest);
    if (n->keeps_itself) let_go(n);
}

// Joining the tree.

void attach(cancel_node* n) {
    cancel_node* up = source_of(n->parent);
    if (up == nullptr) return;
    if (up->what() == node_kind::foreign) serve(static_cast<foreign_node*>(up), true);
    n->up = up;
    n->reachable = true;
    up->mu.acquire();
    const bool done = up->is_done();
    if (!done) up->link(n);
    up->mu.release();
    if (up->what() == node_kind::foreign) unpin(static_cast<foreign_node*>(up));
    if (!done) return;
    // Relaxed: it is done, for good.
    const std::uint32_t why = up->state.load(std::memory_order_relaxed) & cancel_source::k_why;
    cancel_tree(n, static_cast<context_errc>(why), up->cause);
}

void attach_after(after_node* a, cancel_node* source) {
    a->source = source;
    if (source == nullptr) return;
    if (source->what() == node_kind::foreign) serve(static_cast<foreign_node*>(source), true);
    source->mu.acquire();
    const bool done = source->is_done();
    if (!done) source->link(a);
    source->mu.release();
    if (source->what() == node_kind::foreign) unpin(static_cast<foreign_node*>(source));
    if (done && !start(a)) call_inline(a);
}

bool stop_after(context_node*, after_node* a) noexcept {
    if (a->source == nullptr)
        // Relaxed: it says only who was first.
        return !a->stopped.exchange(true, std::memory_order_relaxed);
    a->source->mu.acquire();
    const bool linked = a->slot != nullptr;
    if (linked) cancel_source::unlink(a);
    a->source->mu.release();
    if (!linked) return false;
    after_leave(a->source);
    release_after(a);
    return true;
}

void retain_after(after_node* a) noexcept {
    // Relaxed: the caller has a reference already.
    a->refs.fetch_add(1, std::memory_order_relaxed);
}

void release_after(after_node* a) noexcept {
    // ORD(context-refs): acq_rel; the last one destroys what the others have used.
    if (a->refs.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    a->call.destroy(a->call.function);
    base::destroy(a);
}

void* after_function(after_node* a) noexcept { return a->call.function; }

// Deadlines.

namespace {

void spawn_timeout(deadline_node* n) {
    spawn_record* r = new_record(sizeof(deadline_node*), alignof(deadline_node*));
    ::new (r->closure) deadline_node*(n);
    r->invoke = [](spawn_record* record) {
        auto* due = *static_cast<deadline_node**>(record->closure);
        free_record(record);
        cancel_tree(due, context_errc::deadline_exceeded, due->timeout_cause);
        release_context(due);
    };
    r->created_at = reinterpret_cast<const void*>(&start_timer);
    spawn(r);
}

// The timer's function: the work is done by a goroutine, because a tree may be large. At the end of
// a run the deadline will not come: a node that waits for nothing else lets itself go.
void fire(rt::timer* t) {
    auto* n = static_cast<deadline_node*>(t);
    n->mu.acquire();
    n->armed = false;
    const bool dead = n->dead;
    if (std::exchange(n->at_end, false) && !dead) {
        const bool kept = n->up == nullptr && std::exchange(n->keeps_itself, false);
        n->mu.release();
        if (kept) release_context(n);
        return;
    }
    const bool live = !dead && !n->is_done();
    const bool retained = live && try_retain(n);
    if (live && !retained) n->missed = true;
    n->mu.release();
    if (retained) spawn_timeout(n);
    // Nobody else knows it any more.
    if (dead) base::destroy(n);
}

}  // namespace

void start_timer(deadline_node* n) {
    n->fire = &fire;
    n->for_end = true;
    n->reachable = true;
    const lock_guard hold(n->mu);
    if (n->is_done()) return;
    rt::timer_start(n, n->deadline_ns);
    n->armed = true;
}

// std::stop_token.

namespace {

// What is left after a stop, with the reference of who was told.
struct stop_rest {
    stop_node* n;
    leftovers rest;
    bool marked;
    void operator()() noexcept {
        finish(rest);
        if (marked && n->keeps_itself) let_go(n);
        release_context(n);
    }
};

}  // namespace

// Called by who requests the stop, in the midst of it. A std::stop_callback knows its caller by his
// thread, so that a goroutine must not park here, nor end the node after it has: what may do so is
// left to another goroutine.
void stop_node::call::operator()() const noexcept {
    // ORD(stop-token): seq_cst; the token says so before the count is read. Pairs with keep.
    base::fence(std::memory_order_seq_cst);
    // While this is called the node is not freed: that waits for it.
    if (!try_retain(n)) return;
    constexpr auto k_why = static_cast<std::uint32_t>(context_errc::canceled);
    stop_rest left{.n = n, .rest = {}, .marked = mark(n, k_why, nullptr)};
    if (left.marked) {
        if (!is_complete(n)) descend(n, k_why, left.rest, false);
        detach(n);
    }
    try {
        pirn::go({.name = "context"}, left);
    } catch (...) {
        left();   // no run time runs: a thread stays what it is
    }
}

// The end of nodes.

namespace {

// Whether anybody is there who wants to know of a node without handles. Not who waits: he would
// have one, if he could go on.
bool is_observed(cancel_node* n) noexcept {
    for (const cancel_link* l = n->listeners; l != nullptr; l = l->next)
        if (l->kind != cancel_link::k_waiter) return true;
    // ORD(chan-handles): acquire; pairs with the releases of handles.
    hchan* done = n->done.load(std::memory_order_relaxed);
    return done != nullptr && done->handles.load(std::memory_order_acquire) > 1;
}

// A node that is waited for, and may be cancelled yet, gets a reference of its own, and another one
// for the caller. False: it is not, or may not be.
bool keep(cancel_node* n) noexcept {
    if (n->is_done()) return false;
    auto* d = n->what() == node_kind::deadline ? static_cast<deadline_node*>(n) : nullptr;
    bool missed = false;
    {
        const lock_guard hold(n->mu);
        if (!is_observed(n)) return false;
        const bool by_token = n->what() == node_kind::stop &&
                              static_cast<stop_node*>(n)->token.stop_possible();
        if (n->up == nullptr && !by_token && (d == nullptr || !(d->armed || d->missed)))
            return false;
        n->keeps_itself = true;
        // Relaxed: who finds it does so under this lock, or that of `up`, which is taken next.
        n->refs.store(2, std::memory_order_relaxed);
        missed = d != nullptr && d->missed;
    }
    if (n->up != nullptr) {
        n->up->mu.acquire();
        const bool passed_over = n->passed_over;
        n->up->mu.release();
        if (passed_over) {
            const std::uint32_t why =
                n->up->state.load(std::memory_order_relaxed) & cancel_source::k_why;
            cancel_tree(n, static_cast<context_errc>(why), n->up->cause);
        }
    }
    if (missed) cancel_tree(n, context_errc::deadline_exceeded, d->timeout_cause);
    if (n->what() == node_kind::stop) {
        // ORD(stop-token): seq_cst; the count says so before the token is read. Pairs with call.
        base::fence(std::memory_order_seq_cst);
        if (static_cast<stop_node*>(n)->token.stop_requested())
            cancel_tree(n, context_errc::canceled, nullptr);
    }
    return true;
}

// What only the last one may touch. True: the memory is the timer's function's.
bool empty_out(cancel_node* n) noexcept {
    // One that is done has left the list before its last reference went.
    if (!n->is_done()) detach(n);
    while (cancel_link* l = n->listeners) {
        if (l->kind == cancel_link::k_waiter) {
            static_cast<rt::cancel_waiter*>(l)->forsake();
            continue;
        }
        cancel_source::unlink(l);
        release_after(after_of(l));
    }
    hchan_release(n->done.load(std::memory_order_relaxed));
    n->done.store(nullptr, std::memory_order_relaxed);
    if (n->what() != node_kind::deadline) return false;
    auto* d = static_cast<deadline_node*>(n);
    // What is the user's goes here, not where timers fire.
    d->cause = nullptr;
    d->timeout_cause = nullptr;
    const lock_guard hold(d->mu);
    disarm(d);
    d->dead = true;
    return d->armed;
}

// Without references. What is to be let go of next: its parent, or itself once more if it is kept.
context_node* end_node(context_node* n) noexcept {
    if (is_cancel(n) && n->reachable && keep(as_cancel(n))) return n;
    context_node* parent = n->parent;
    if (is_cancel(n) && empty_out(as_cancel(n))) return parent;
    switch (n->kind) {
        case node_kind::root: break;
        case node_kind::value: {
            auto* v = static_cast<value_node*>(n);
            if (v->value != nullptr) v->ops->destroy(v->value);
            base::destroy(v);
            break;
        }
        case node_kind::without_cancel: base::destroy(n); break;
        case node_kind::cancel: base::destroy(as_cancel(n)); break;
        case node_kind::deadline: base::destroy(static_cast<deadline_node*>(n)); break;
        case node_kind::stop: base::destroy(static_cast<stop_node*>(n)); break;
        case node_kind::foreign: {
            foreign_node* f = as_foreign(n);
            f->leave_slot();
            parent = f->inner;
            base::destroy(f);
            break;
        }
    }
    return parent;
}

}  // namespace

void retain_context(context_node* n) noexcept {
    // Relaxed: the caller has a reference already.
    if (n->kind != node_kind::root) n->refs.fetch_add(1, std::memory_order_relaxed);
}

void release_context(context_node* n) noexcept {
    // A loop, for trees that are deep.
    while (n != nullptr && n->kind != node_kind::root) {
        // ORD(context-refs): acquire, of the last one, whom nobody can join who has none; else
        // acq_rel: the last one destroys what the others have used.
        if ((n->reachable || n->refs.load(std::memory_order_acquire) != 1) &&
            n->refs.fetch_sub(1, std::memory_order_acq_rel) != 1)
            return;
        n = end_node(n);
    }
}

}  // namespace pirn::detail
