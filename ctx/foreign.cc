// SPDX-License-Identifier: MIT
// Users' own contexts: how what is derived from them is cancelled with them.
//
// One that passes on the done() of one of the library's nodes is linked through: what is derived
// from it is in that node's list. Any other has a node of its own, whose list is served by one
// goroutine, the helper, while there is anything in it: it waits for the user's done(), and for
// word that the list may be empty.
#include <system_error>
#include <utility>

#include <pirn/select.h>

#include "ctx/node.h"
#include "runtime/base/alloc.h"

namespace pirn::detail {

using rt::lock_guard;

namespace {

context_errc reason_of(std::error_code e) {
    return e == std::errc::timed_out ? context_errc::deadline_exceeded : context_errc::canceled;
}

// Of one whose done() is closed.
void cancel_foreign(foreign_node* n) {
    const std::error_code why = n->own->err();
    std::exception_ptr with;
    const void* above = n->own->value(k_node_key);
    if (above != nullptr) {
        const auto* inner = static_cast<const cancel_node*>(above);
        if (inner->is_done()) with = inner->cause;
    }
    if (with == nullptr && why && why.category() != context_category())
        with = std::make_exception_ptr(std::system_error(why));
    cancel_tree(n, reason_of(why), std::move(with));
}

// Waits for a user's done() as long as anything waits for that. Has a reference.
void help(foreign_node* n) {
    for (bool more = true; more;) {
        bool done = false;
        select(on_recv(n->own->done(), [&](bool) { done = true; }),
               on_recv(n->look, [](bool) {}));
        if (done) {
            cancel_foreign(n);
            break;
        }
        const lock_guard hold(n->mu);
        more = n->listeners != nullptr || n->pins != 0;
        n->helper_runs = more;
    }
    release_context(n);
}

bool is_closed(const recv_chan<void>& c) { return c && c.try_recv() == recv_status::closed; }

}  // namespace

void serve(foreign_node* n, bool pin) {
    if (!n->is_done() && is_closed(n->own->done())) cancel_foreign(n);
    n->mu.acquire();
    if (pin) ++n->pins;
    const bool needed = !n->is_done() && !std::exchange(n->helper_runs, true);
    n->mu.release();
    if (!needed) return;
    retain_context(n);
    try {
        pirn::go({.name = "context"}, [n] { help(n); });
    } catch (...) {
        n->mu.acquire();
        n->helper_runs = false;
        if (pin) --n->pins;
        n->mu.release();
        release_context(n);
        throw;
    }
}

void unpin(foreign_node* n) noexcept {
    n->mu.acquire();
    --n->pins;
    n->mu.release();
    after_leave(n);
}

void after_leave(cancel_node* n) noexcept {
    if (n->what() != node_kind::foreign) return;
    auto* f = static_cast<foreign_node*>(n);
    f->mu.acquire();
    const bool unused = f->listeners == nullptr && f->pins == 0 && f->helper_runs;
    f->mu.release();
    if (unused) f->look.try_send();
}

namespace {

// The library's node with which a user's context is done, kept; nullptr: it is done by itself.
cancel_node* inner_of(foreign_node* n, const recv_chan<void>& done) {
    const void* found = n->own->value(k_node_key);
    if (found == nullptr) return nullptr;
    auto* inner = static_cast<cancel_node*>(const_cast<void*>(found));
    // ORD(context-done): acquire; pairs with the release in context::done.
    if (inner->done.load(std::memory_order_acquire) != chan_access::of(done)) return nullptr;
    bool first = false;
    {
        const lock_guard hold(n->mu);
        if (n->inner != nullptr && n->inner != inner) return nullptr;
        first = std::exchange(n->inner, inner) == nullptr;
        if (first) retain_context(inner);
    }
    return inner;
}

}  // namespace

cancel_node* source_of(context_node* n) {
    while (n->kind == node_kind::value) n = n->parent;
    if (!is_cancel(n)) return nullptr;
    if (n->kind != node_kind::foreign) return as_cancel(n);
    foreign_node* f = as_foreign(n);
    const recv_chan<void> done = f->own->done();
    if (!done) return nullptr;
    cancel_node* inner = inner_of(f, done);
    return inner != nullptr ? inner : f;
}

namespace {

// Protects the slots of users' contexts.
constinit rt::lock slots{rt::lock_rank::leaf};

}  // namespace

context_node* foreign_node::of(std::shared_ptr<context_base> own) {
    const context_base* key = own.get();
    foreign_node* made = base::make<foreign_node>(std::move(own));
    made->reachable = true;
    context_node* found = nullptr;
    {
        const lock_guard hold(slots);
        context_node*& slot = key->slot_.node_;
        if (slot != nullptr && try_retain(slot))
            found = slot;
        else
            slot = made;
    }
    if (found == nullptr) return made;
    base::destroy(made);
    return found;
}

void foreign_node::leave_slot() noexcept {
    const lock_guard hold(slots);
    if (own->slot_.node_ == this) own->slot_.node_ = nullptr;
}

}  // namespace pirn::detail
