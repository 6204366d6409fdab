// SPDX-License-Identifier: MIT
// Contexts: what users call, by way of the nodes that cancel_tree.cc keeps.
#include <pirn/context.h>

#include <cxxabi.h>
#include <sched.h>

#include <cstdio>
#include <cstdlib>
#include <typeinfo>
#include <vector>

#include "ctx/node.h"
#include "runtime/base/alloc.h"
#include "runtime/base/clock.h"

namespace pirn {
namespace detail {
namespace {

constinit context_node background_node(node_kind::root), todo_node(node_kind::root);

[[noreturn]] [[gnu::cold]] void throw_nil(const char* what) { throw panic(what); }

context_node* checked_parent(const context& parent) {
    if (!parent) [[unlikely]] throw_nil("cannot create context from nil parent");
    return parent.node();
}

context_node* checked(const context& c) {
    if (!c) [[unlikely]] throw_nil("nil context");
    return c.node();
}

// The first that is not a value: what says when and why it is done.
context_node* origin(context_node* n) noexcept {
    while (n->kind == node_kind::value) n = n->parent;
    return n;
}

// A node that is not known to others yet, with its reference to the parent.
template <class Node, class... A>
Node* make_below(context_node* parent, A&&... args) {
    Node* n = base::make<Node>(std::forward<A>(args)...);
    n->parent = parent;
    retain_context(parent);
    return n;
}

// A new node's two references: that of its context, and that of its cancel function.
struct pair_of_refs {
    explicit pair_of_refs(cancel_node* n) : ctx(n), cancel(n) {
        // Relaxed: nobody else knows it yet.
        n->refs.store(2, std::memory_order_relaxed);
    }
    context_ref ctx, cancel;
};

pair_of_refs new_cancel(const context& parent) {
    auto* n = make_below<cancel_node>(checked_parent(parent));
    pair_of_refs refs(n);
    attach(n);
    return refs;
}

std::optional<clock::time_point> deadline_of(const context_node* n) {
    for (;; n = n->parent) {
        switch (n->kind) {
            case node_kind::deadline:
                return clock::time_point(std::chrono::nanoseconds(
                    static_cast<const deadline_node*>(n)->deadline_ns));
            case node_kind::foreign: return as_foreign(n)->own->deadline();
            case node_kind::root:
            case node_kind::without_cancel: return std::nullopt;
            default: break;
        }
    }
}

recv_chan<void> done_of(cancel_node* n) {
    // ORD(context-done): acquire; pairs with the release below.
    hchan* c = n->done.load(std::memory_order_acquire);
    if (c != nullptr) [[likely]] {
        hchan_retain(c);
        return chan_access::receiver<void>(c);
    }
    const chan<void> fresh = make_chan<void>();
    n->mu.acquire();
    if (n->is_done()) {
        n->mu.release();
        fresh.close();
        n->mu.acquire();
    }
    c = n->done.load(std::memory_order_relaxed);
    if (c == nullptr) {
        c = chan_access::of(fresh);
        hchan_retain(c);
        // ORD(context-done): release; pairs with the acquires of who looks without the lock.
        n->done.store(c, std::memory_order_release);
    }
    n->mu.release();
    hchan_retain(c);
    return chan_access::receiver<void>(c);
}

std::error_code err_of(const cancel_node* n) {
    if (!n->is_done()) return {};
    // The channel is closed a moment later.
    // ORD(context-done): acquire; pairs with the release in done_of.
    if (const hchan* c = n->done.load(std::memory_order_acquire)) {
        // ORD(chan-look): acquire; pairs with the release in hchan_close.
        while (!c->closed.load(std::memory_order_acquire)) ::sched_yield();
    }
    return rt::cancel_reason(n);
}

}  // namespace

const void* find_value(const context_node* n, const context_key_base& key) {
    for (;; n = n->parent) {
        switch (n->kind) {
            case node_kind::value: {
                const auto* v = static_cast<const value_node*>(n);
                if (v->key == &key) return v->value;
                break;
            }
            case node_kind::root: return nullptr;
            case node_kind::without_cancel:
                if (&key == &k_node_key) return nullptr;
                break;
            case node_kind::foreign: return as_foreign(n)->own->value(key);
            default:
                if (&key == &k_node_key) return as_cancel(n);
                break;
        }
    }
}

context_node* make_value(const context& parent, const context_key_base& key, const value_ops& ops,
                         void** storage) {
    context_node* p = checked_parent(parent);
    const std::size_t align = ops.align > alignof(value_node) ? ops.align : alignof(value_node);
    const std::size_t offset = (sizeof(value_node) + ops.align - 1) / ops.align * ops.align;
    auto* memory = static_cast<std::byte*>(base::allocate(offset + ops.size, align));
    auto* n = ::new (memory) value_node;
    n->key = &key;
    n->ops = &ops;
    n->value = *storage = memory + offset;
    n->parent = p;
    retain_context(p);
    return n;
}

void drop_value(context_node* n) noexcept {
    static_cast<value_node*>(n)->value = nullptr;
    release_context(n);
}

void cancel_node_by_hand(context_node* n, std::exception_ptr cause) {
    cancel_tree(as_cancel(n), context_errc::canceled, std::move(cause));
}

after_node* add_after(const context& c, const after_call& call) {
    context_node* n = checked(c);
    after_node* a = base::make<after_node>();
    a->call = call;
    try {
        attach_after(a, source_of(n));
    } catch (...) {
        base::destroy(a);
        throw;
    }
    return a;
}

clock::time_point deadline_after_ns(std::int64_t d_ns) {
    return clock::time_point(
        std::chrono::nanoseconds(deadline_ns_after(base::now_ns(), d_ns)));
}

}  // namespace detail

using detail::as_cancel;
using detail::as_foreign;
using detail::cancel_node;
using detail::context_node;
using detail::context_ref;
using detail::node_kind;

context background() { return context(context_ref(&detail::background_node)); }
context todo() { return context(context_ref(&detail::todo_node)); }

context::context(std::shared_ptr<context_base> own) {
    if (own != nullptr) ref_ = context_ref(detail::foreign_node::of(std::move(own)));
}

recv_chan<void> context::done() const {
    context_node* n = detail::origin(detail::checked(*this));
    if (!detail::is_cancel(n)) return nullptr;
    return n->kind == node_kind::foreign ? as_foreign(n)->own->done()
                                         : detail::done_of(as_cancel(n));
}

std::error_code context::err() const {
    const context_node* n = detail::origin(detail::checked(*this));
    if (!detail::is_cancel(n)) return {};
    return n->kind == node_kind::foreign ? as_foreign(n)->own->err()
                                         : detail::err_of(as_cancel(n));
}

std::optional<clock::time_point> context::deadline() const {
    return detail::deadline_of(detail::checked(*this));
}

const void* context::value(const context_key_base& key) const {
    return detail::find_value(detail::checked(*this), key);
}

context::operator cancellation() const {
    cancel_node* source = detail::source_of(detail::checked(*this));
    if (source == nullptr) return cancellation();
    if (source->what() != node_kind::foreign) return cancellation(source);
    detail::serve(static_cast<detail::foreign_node*>(source), true);
    return cancellation(source, [](rt::cancel_source* s) {
        detail::unpin(static_cast<detail::foreign_node*>(s));
    });
}

namespace {

std::string own_text(const context_base& own) {
    const char* name = typeid(own).name();
    int status = 0;
    const std::unique_ptr<char, void (*)(void*)> plain(
        abi::__cxa_demangle(name, nullptr, nullptr, &status), std::free);
    return plain != nullptr ? plain.get() : name;
}

std::string value_text(const detail::value_node& v) {
    std::string out = ".WithValue(";
    if (v.key->name() != nullptr)
        out += v.key->name();
    else
        out.append("type ").append(v.ops->type);
    out += ", val ";
    out += v.ops->text != nullptr ? v.ops->text(v.value) : "<not a string>";
    return out + ")";
}

std::string deadline_text(const detail::deadline_node& d) {
    char text[64];
    std::snprintf(text, sizeof text, ".WithDeadline(%.6fs)",
                  static_cast<double>(d.deadline_ns - base::now_ns()) / 1e9);
    return text;
}

std::string node_text(const context_node* n) {
    switch (n->kind) {
        case node_kind::root:
            return n == &detail::todo_node ? "context.TODO" : "context.Background";
        case node_kind::value: return value_text(*static_cast<const detail::value_node*>(n));
        case node_kind::without_cancel: return ".WithoutCancel";
        case node_kind::cancel: return ".WithCancel";
        case node_kind::deadline:
            return deadline_text(*static_cast<const detail::deadline_node*>(n));
        case node_kind::stop: return ".WithStopToken";
        case node_kind::foreign: return own_text(*as_foreign(n)->own);
    }
    return {};
}

}  // namespace

std::string context::to_string() const {
    std::vector<const context_node*> chain;
    for (const context_node* n = detail::checked(*this); n != nullptr; n = n->parent)
        chain.push_back(n);
    std::string out;
    for (auto n = chain.rbegin(); n != chain.rend(); ++n) out += node_text(*n);
    return out;
}

cancelable with_cancel(const context& parent) {
    detail::pair_of_refs refs = detail::new_cancel(parent);
    return {context(std::move(refs.ctx)), cancel_func(std::move(refs.cancel))};
}

cancelable_cause with_cancel_cause(const context& parent) {
    detail::pair_of_refs refs = detail::new_cancel(parent);
    return {context(std::move(refs.ctx)), cancel_cause_func(std::move(refs.cancel))};
}

cancelable with_deadline(const context& parent, clock::time_point deadline) {
    return with_deadline_cause(parent, deadline, std::exception_ptr());
}

cancelable with_deadline_cause(const context& parent, clock::time_point deadline,
                               std::error_code cause) {
    return with_deadline_cause(
        parent, deadline,
        cause ? std::make_exception_ptr(std::system_error(cause)) : std::exception_ptr());
}

cancelable with_deadline_cause(const context& parent, clock::time_point deadline,
                               std::exception_ptr cause) {
    context_node* p = detail::checked_parent(parent);
    const auto inherited = detail::deadline_of(p);
    // The earlier one cancels this, too.
    if (inherited && *inherited < deadline) return with_cancel(parent);
    auto* n = detail::make_below<detail::deadline_node>(p);
    detail::pair_of_refs refs(n);
    n->deadline_ns = detail::steady_ns(deadline);
    n->timeout_cause = std::move(cause);
    detail::attach(n);
    if (n->deadline_ns <= base::now_ns())
        detail::cancel_tree(n, context_errc::deadline_exceeded, n->timeout_cause);
    else if (n->deadline_ns != base::k_never_ns)
        detail::start_timer(n);
    return {context(std::move(refs.ctx)), cancel_func(std::move(refs.cancel))};
}

context without_cancel(const context& parent) {
    context_node* p = detail::checked_parent(parent);
    return context(context_ref(
        detail::make_below<context_node>(p, node_kind::without_cancel)));
}

context with_stop_token(const context& parent, std::stop_token token) {
    auto* n = detail::make_below<detail::stop_node>(detail::checked_parent(parent));
    const context_ref hold(n);
    n->reachable = true;
    n->token = token;
    detail::attach(n);
    n->callback.emplace(std::move(token), detail::stop_node::call{n});
    return context(hold);
}

std::stop_token stop_token_of(const context& c) {
    cancel_node* source = detail::source_of(detail::checked(c));
    if (source == nullptr) return {};
    auto owned = std::make_unique<std::stop_source>();
    std::stop_token token = owned->get_token();
    detail::after_node* a = detail::add_after(
        c, {.function = owned.get(),
            .destroy = [](void* p) noexcept { delete static_cast<std::stop_source*>(p); },
            .call = [](void* p) { static_cast<std::stop_source*>(p)->request_stop(); }});
    owned.release();
    detail::release_after(a);
    return token;
}

std::exception_ptr cause(const context& c) {
    const void* found = c.value(detail::k_node_key);
    if (found != nullptr) {
        const auto* n = static_cast<const cancel_node*>(found);
        if (n->is_done() && n->cause != nullptr) return n->cause;
    }
    const std::error_code why = c.err();
    return why ? std::make_exception_ptr(std::system_error(why)) : nullptr;
}

}  // namespace pirn
