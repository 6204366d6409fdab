// SPDX-License-Identifier: MIT
// The nodes of the context tree.
//
// Invariants:
//   - A node holds a reference to its parent. Towards the leaves nothing is held: a cancel_node is
//     linked with the nearest one above (`up`) that can be cancelled, which may take a reference
//     only while there is one.
//   - A link is in a source's list exactly while its slot is set; both are guarded by the source's
//     lock. A node is in the list of `up` until it is done, or gone.
//   - A node that is done has an empty list once it is complete; nothing joins a list afterwards.
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <stop_token>

#include <pirn/context.h>

#include "chan/hchan.h"
#include "runtime/base/atomic.h"
#include "runtime/cancel.h"
#include "runtime/timer.h"

namespace pirn::detail {

enum class node_kind : std::uint8_t {
    root,             // background and todo: never freed, not counted
    value,
    without_cancel,
    // cancel_nodes from here on.
    cancel,
    deadline,
    stop,             // cancelled by a std::stop_token
    foreign,          // a user's own context
};

struct context_node {
    explicit constexpr context_node(node_kind k) : kind(k) {}

    // Atomic, see ORD(context-refs).
    base::atomic<std::uint32_t> refs{1};
    const node_kind kind;
    // Whether somebody who has no reference may find the node: its `up`, a timer, a slot.
    bool reachable = false;
    // A node that was orphaned, but is waited for, keeps a reference of its own until it is done.
    // Guarded by its mu.
    bool keeps_itself = false;
    // Its `up` was cancelled when nobody had a reference. Guarded by up->mu.
    bool passed_over = false;
    // Holds a reference. Never changes.
    context_node* parent = nullptr;
};

struct value_node : context_node {
    value_node() : context_node(node_kind::value) {}
    const context_key_base* key = nullptr;
    const value_ops* ops = nullptr;
    void* value = nullptr;
};

// What a link may be, besides a waiter.
inline constexpr std::uint8_t k_child = 1, k_after = 2;

struct cancel_node : context_node, rt::cancel_link, rt::cancel_source {
    explicit cancel_node(node_kind k = node_kind::cancel) : context_node(k) {
        rt::cancel_link::kind = k_child;
    }

    // More bits of `state`. complete: everything below is done, too. awaited: somebody sleeps until
    // it is.
    static constexpr std::uint32_t k_complete = 4, k_awaited = 8;

    // The source with which it is linked; nullptr: none. Set before others know the node.
    cancel_node* up = nullptr;
    // Made when it is first asked for; holds a handle. Written under mu, see ORD(context-done).
    base::atomic<hchan*> done;
    // Written under mu before the node is done, and never after.
    std::exception_ptr cause;

    node_kind what() const noexcept { return context_node::kind; }
};

struct deadline_node : cancel_node, rt::timer {
    deadline_node() : cancel_node(node_kind::deadline) {}
    std::int64_t deadline_ns = 0;
    std::exception_ptr timeout_cause;
    // Guarded by mu.
    bool armed = false;     // was started, and its function has not had the lock since
    bool dead = false;      // its function is to free the node
    bool missed = false;    // its function came when nobody had a reference
};

struct stop_node : cancel_node {
    stop_node() : cancel_node(node_kind::stop) {}
    struct call {
        stop_node* n;
        void operator()() const noexcept;
    };
    std::stop_token token;
    std::optional<std::stop_callback<call>> callback;
};

// A user's context. Its list is served by a goroutine that waits for the user's done(), while there
// is anything in it.
struct foreign_node : cancel_node {
    explicit foreign_node(std::shared_ptr<context_base> b)
        : cancel_node(node_kind::foreign), own(std::move(b)) {}

    const std::shared_ptr<context_base> own;
    chan<void> look = make_chan<void>(1);   // says that the list, or pins, may have become empty
    // Guarded by mu.
    bool helper_runs = false;
    std::uint32_t pins = 0;                 // waits that have not joined the list yet, or have left
    context_node* inner = nullptr;          // the library's that it is done with; a reference

    // The node of a user's context, with a reference: there is one at the most.
    static context_node* of(std::shared_ptr<context_base> own);
    // Nobody refers to it any more.
    void leave_slot() noexcept;
};

// A function that waits for a source.
struct after_node : rt::cancel_link {
    after_node() { kind = k_after; }
    base::atomic<std::uint32_t> refs{2};    // its handle's, and the list's or the call's
    cancel_node* source = nullptr;          // nullptr: nothing will ever call it
    base::atomic<bool> stopped{false};
    after_call call;
};

// The key under which a cancel_node gives itself.
struct node_key : context_key_base {
    constexpr node_key() : context_key_base("pirn::context") {}
};
inline constexpr node_key k_node_key;

inline cancel_node* as_cancel(context_node* n) noexcept { return static_cast<cancel_node*>(n); }
inline const cancel_node* as_cancel(const context_node* n) noexcept {
    return static_cast<const cancel_node*>(n);
}
inline bool is_cancel(const context_node* n) noexcept { return n->kind >= node_kind::cancel; }
inline foreign_node* as_foreign(context_node* n) noexcept { return static_cast<foreign_node*>(n); }
inline const foreign_node* as_foreign(const context_node* n) noexcept {
    return static_cast<const foreign_node*>(n);
}

// Takes a reference if there still is one.
inline bool try_retain(context_node* n) noexcept {
    std::uint32_t refs = n->refs.load(std::memory_order_relaxed);
    while (refs != 0) {
        // Relaxed: what the node holds was published with the lock of who finds it here.
        if (n->refs.compare_exchange_weak(refs, refs + 1, std::memory_order_relaxed,
                                          std::memory_order_relaxed))
            return true;
    }
    return false;
}

const void* find_value(const context_node* n, const context_key_base& key);

// The tree, of cancel_tree.cc.

// Of who cancels a node, and has a reference to it.
void cancel_tree(cancel_node* n, context_errc why, std::exception_ptr cause) noexcept;
// Links a new node with the nearest above it that can be cancelled; if that is done, so is the node
// when this returns. Throws panic where a helper is needed and no run time runs.
void attach(cancel_node* n);
// The nearest cancel_node, from this one upwards; nullptr if there is none. Of a user's context:
// the library's that it passes on, or the one that stands for it.
cancel_node* source_of(context_node* n);
// Arms the timer, with the node attached.
void start_timer(deadline_node* n);
// Sees to it that the list of a user's context is served; also while it is pinned.
void serve(foreign_node* n, bool pin);
void unpin(foreign_node* n) noexcept;
// After a link has left a list.
void after_leave(cancel_node* n) noexcept;
// Links a function, or calls it.
void attach_after(after_node* a, cancel_node* source);

}  // namespace pirn::detail
