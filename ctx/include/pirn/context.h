// SPDX-License-Identifier: MIT
// Contexts: cancellation, deadlines and values that go from a caller to all that works for it.
//
// A context is a reference to a node of a tree, as in Go: its copies name the same node, and a
// derived context refers to its parent. What is cancelled is cancelled with everything below it,
// before the cancelling call returns. A node lives while a context, a cancel function or a derived
// context refers to it; while its done() is held, or a function waits for it (after_func), also
// until it is cancelled from above or by its deadline, if there is an above or a deadline. No
// deadline comes after the end of the run.
//
// All of it may be called from goroutines and threads at the same time; deadlines and after_func
// need a run time that runs. Distinct handles of one node are independent objects; assigning to a
// handle that others use is a race, as with every C++ object.
#pragma once

#include <chrono>
#include <concepts>
#include <exception>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>

#include <pirn/cancellation.h>
#include <pirn/chan.h>
#include <pirn/error_group.h>
#include <pirn/runtime.h>
#include <pirn/sleep.h>

namespace pirn {

class context;
class context_base;

// The name of a value, without its type. Keys are objects, and are the same where their addresses
// are.
class context_key_base {
  public:
    context_key_base(const context_key_base&) = delete;
    context_key_base& operator=(const context_key_base&) = delete;
    // For to_string; nullptr: it has no name.
    constexpr const char* name() const noexcept { return name_; }

  protected:
    constexpr explicit context_key_base(const char* name) noexcept : name_(name) {}
    ~context_key_base() = default;

  private:
    const char* name_;
};

// inline constexpr context_key<std::string> trace_id;
template <class T>
class context_key : public context_key_base {
  public:
    static_assert(std::is_object_v<T> && std::is_same_v<T, std::remove_cv_t<T>>,
                  "pirn::context_key: T must be an object type without const or volatile");
    constexpr context_key() noexcept : context_key_base(nullptr) {}
    constexpr explicit context_key(const char* name) noexcept : context_key_base(name) {}
};

namespace detail {

struct context_node;
struct after_node;
struct foreign_node;

void retain_context(context_node* n) noexcept;
void release_context(context_node* n) noexcept;

// One counted reference to a node, or none.
class context_ref {
  public:
    constexpr context_ref() noexcept = default;
    // Takes over a reference that was counted already.
    explicit context_ref(context_node* counted) noexcept : n_(counted) {}
    context_ref(const context_ref& other) noexcept : n_(other.n_) {
        if (n_ != nullptr) retain_context(n_);
    }
    context_ref(context_ref&& other) noexcept : n_(std::exchange(other.n_, nullptr)) {}
    context_ref& operator=(context_ref other) noexcept {
        std::swap(n_, other.n_);
        return *this;
    }
    ~context_ref() {
        if (n_ != nullptr) release_context(n_);
    }
    context_node* get() const noexcept { return n_; }

  private:
    context_node* n_ = nullptr;
};

// What a value's node knows about its type.
struct value_ops {
    std::size_t size = 0;
    std::size_t align = 1;
    void (*destroy)(void* value) noexcept = nullptr;
    std::string (*text)(const void* value) = nullptr;   // nullptr: it has none
    std::string_view type;
};

template <class T>
constexpr std::string_view type_name() {
    std::string_view all = __PRETTY_FUNCTION__;
    all.remove_prefix(all.find("T = ") + 4);
    return all.substr(0, all.find_first_of(";]"));
}

template <class T>
inline constexpr value_ops k_value_ops{
    .size = sizeof(T),
    .align = alignof(T),
    .destroy = [](void* value) noexcept { static_cast<T*>(value)->~T(); },
    .text = [] {
        std::string (*text)(const void*) = nullptr;
        if constexpr (std::convertible_to<const T&, std::string_view>)
            text = [](const void* value) {
                return std::string(std::string_view(*static_cast<const T*>(value)));
            };
        else if constexpr (std::integral<T> || std::floating_point<T>)
            text = [](const void* value) { return std::to_string(*static_cast<const T*>(value)); };
        return text;
    }(),
    .type = type_name<T>(),
};

// A node below `parent`, and where its value is to be made; dropped again by drop_value.
context_node* make_value(const context& parent, const context_key_base& key, const value_ops& ops,
                         void** storage);
void drop_value(context_node* n) noexcept;

// A function that waits for a context, and how it is called: `start` is what a goroutine's
// spawn_record needs, its closure being the after_node*, whose reference it takes over.
struct after_call {
    void* function = nullptr;
    void (*destroy)(void* function) noexcept = nullptr;
    void (*call)(void* function) = nullptr;
    // nullptr: it is called by who cancels.
    void (*start)(spawn_record*) = nullptr;
    const void* created_at = nullptr;
};
// Takes the function over if it returns; gives one reference.
after_node* add_after(const context& c, const after_call& call);
bool stop_after(context_node* n, after_node* a) noexcept;
void retain_after(after_node* a) noexcept;
void release_after(after_node* a) noexcept;
void* after_function(after_node* a) noexcept;

// Where a foreign context's node is found, so that it has only one.
class foreign_slot {
  public:
    foreign_slot() noexcept = default;
    foreign_slot(const foreign_slot&) noexcept {}
    foreign_slot& operator=(const foreign_slot&) noexcept { return *this; }

  private:
    friend struct foreign_node;
    context_node* node_ = nullptr;
};

void cancel_node_by_hand(context_node* n, std::exception_ptr cause);

}  // namespace detail

// A user's own kind of context. What is derived from it is cancelled when its done() is closed: at
// the same time where that is the done() of one of the library's contexts, which its value() also
// passes on to; else by a goroutine that waits for it while there is anything to be cancelled. Its
// functions may be called from any goroutine, at the same time.
class context_base {
  public:
    context_base() = default;
    virtual ~context_base() = default;
    // Closed when it is done; nil if it never will be. The same channel each time.
    virtual recv_chan<void> done() const { return nullptr; }
    // Why it is done. What is derived from it reports context_errc::deadline_exceeded for what
    // equals std::errc::timed_out, context_errc::canceled for everything else, and this as its
    // cause.
    virtual std::error_code err() const { return {}; }
    virtual std::optional<clock::time_point> deadline() const { return std::nullopt; }
    virtual const void* value(const context_key_base&) const { return nullptr; }

  protected:
    context_base(const context_base&) = default;
    context_base& operator=(const context_base&) = default;

  private:
    friend struct detail::foreign_node;
    mutable detail::foreign_slot slot_;
};

class context {
  public:
    // nil: from it nothing can be derived, and its functions throw panic.
    constexpr context() noexcept = default;
    // A user's own; nullptr: nil.
    context(std::shared_ptr<context_base> own);

    // Closed when it is done; nil if it never will be. The same channel each time.
    recv_chan<void> done() const;
    // Why it is done: context_errc::canceled or context_errc::deadline_exceeded. Nothing while
    // done() is open.
    std::error_code err() const;
    // When it will be done at the latest.
    std::optional<clock::time_point> deadline() const;
    // The nearest ancestor's (or its own), nullptr if none has one. It lives as long as that does.
    template <class T>
    const T* value(const context_key<T>& key) const {
        return static_cast<const T*>(value(static_cast<const context_key_base&>(key)));
    }
    const void* value(const context_key_base& key) const;

    // The chain of what it was derived by: "context.Background.WithCancel".
    std::string to_string() const;

    // For the waits that can be cancelled: sleep_for(d, ctx), ch.recv(ctx), …
    operator cancellation() const;

    explicit operator bool() const noexcept { return ref_.get() != nullptr; }
    // Whether they name the same node.
    friend bool operator==(const context& a, const context& b) noexcept {
        return a.ref_.get() == b.ref_.get();
    }

    // For the library.
    explicit context(detail::context_ref ref) noexcept : ref_(std::move(ref)) {}
    const detail::context_ref& ref() const noexcept { return ref_; }
    detail::context_node* node() const noexcept { return ref_.get(); }

  private:
    detail::context_ref ref_;
};

inline std::string to_string(const context& c) { return c.to_string(); }

// Never done, without deadline and values: the root of what a program does.
context background();
// The same, where it is not clear yet which context to use.
context todo();

// Cancels the context that it came with, and what is below it; returns when all of that is done.
// May be called at any time, from anywhere, any number of times; the first time counts. It does not
// wait for what the context was given to.
class cancel_func {
  public:
    cancel_func() noexcept = default;
    explicit cancel_func(detail::context_ref ref) noexcept : ref_(std::move(ref)) {}
    void operator()() const {
        if (ref_.get() != nullptr) detail::cancel_node_by_hand(ref_.get(), nullptr);
    }

  private:
    detail::context_ref ref_;
};

// The same, with what cause() will give. Without one it gives the context's error.
class cancel_cause_func {
  public:
    cancel_cause_func() noexcept = default;
    explicit cancel_cause_func(detail::context_ref ref) noexcept : ref_(std::move(ref)) {}
    void operator()(std::exception_ptr cause = nullptr) const {
        if (ref_.get() != nullptr) detail::cancel_node_by_hand(ref_.get(), std::move(cause));
    }
    void operator()(std::nullptr_t) const { (*this)(std::exception_ptr()); }
    void operator()(std::error_code cause) const {
        (*this)(cause ? std::make_exception_ptr(std::system_error(cause)) : nullptr);
    }

  private:
    detail::context_ref ref_;
};

// auto [ctx, cancel] = with_cancel(parent);
struct [[nodiscard]] cancelable {
    context ctx;
    cancel_func cancel;
};
struct [[nodiscard]] cancelable_cause {
    context ctx;
    cancel_cause_func cancel;
};

// A nil parent throws panic "cannot create context from nil parent", here and below.

cancelable with_cancel(const context& parent);
cancelable_cause with_cancel_cause(const context& parent);

// Done at the deadline, with context_errc::deadline_exceeded, if not before. One that is later than
// the parent's changes nothing; one that has passed gives a context that is done.
cancelable with_deadline(const context& parent, clock::time_point deadline);
cancelable with_deadline_cause(const context& parent, clock::time_point deadline,
                               std::exception_ptr cause);
cancelable with_deadline_cause(const context& parent, clock::time_point deadline,
                               std::error_code cause);

namespace detail {
clock::time_point deadline_after_ns(std::int64_t d_ns);
}

template <class Rep, class Period>
cancelable with_timeout(const context& parent, std::chrono::duration<Rep, Period> d) {
    return with_deadline(parent, detail::deadline_after_ns(detail::saturate_ns(d)));
}
// `cause`: a std::exception_ptr or a std::error_code.
template <class Rep, class Period, class Cause>
cancelable with_timeout_cause(const context& parent, std::chrono::duration<Rep, Period> d,
                              Cause cause) {
    return with_deadline_cause(parent, detail::deadline_after_ns(detail::saturate_ns(d)),
                               std::move(cause));
}

// The parent with one more value.
template <class T, class V = T>
    requires std::constructible_from<T, V>
[[nodiscard]] context with_value(const context& parent, const context_key<T>& key, V&& value) {
    void* storage = nullptr;
    detail::context_node* n = detail::make_value(parent, key, detail::k_value_ops<T>, &storage);
    if constexpr (std::is_nothrow_constructible_v<T, V>) {
        ::new (storage) T(std::forward<V>(value));
    } else {
        try {
            ::new (storage) T(std::forward<V>(value));
        } catch (...) {
            detail::drop_value(n);
            throw;
        }
    }
    return context(detail::context_ref(n));
}

// The parent's values alone: never done, without deadline.
[[nodiscard]] context without_cancel(const context& parent);

// Cancelled when a stop is requested, or with the parent: for what code with std::stop_token calls.
[[nodiscard]] context with_stop_token(const context& parent, std::stop_token token);
// Stopped when the context is done: for code that takes a std::stop_token. Its callbacks are called
// by who cancels, once everything is cancelled. If the context never will be, there is no stop
// possible.
[[nodiscard]] std::stop_token stop_token_of(const context& c);

// What cancelled it: what was given to cancel (an error_code comes as std::system_error), else its
// error as std::system_error. nullptr while it is not done.
std::exception_ptr cause(const context& c);

// Keeps a function from being called. True: by this call; false: it was called, or is about to be,
// or was stopped before. Does not wait for it.
class stop_func {
  public:
    stop_func() noexcept = default;
    stop_func(const stop_func& other) noexcept : ref_(other.ref_), after_(other.after_) {
        if (after_ != nullptr) detail::retain_after(after_);
    }
    stop_func(stop_func&& other) noexcept
        : ref_(std::move(other.ref_)), after_(std::exchange(other.after_, nullptr)) {}
    stop_func& operator=(stop_func other) noexcept {
        std::swap(ref_, other.ref_);
        std::swap(after_, other.after_);
        return *this;
    }
    ~stop_func() {
        if (after_ != nullptr) detail::release_after(after_);
    }
    bool operator()() const noexcept {
        return after_ != nullptr && detail::stop_after(ref_.get(), after_);
    }

    // For the library: takes over a reference that was counted already.
    stop_func(detail::context_ref ref, detail::after_node* counted) noexcept
        : ref_(std::move(ref)), after_(counted) {}

  private:
    detail::context_ref ref_;
    detail::after_node* after_ = nullptr;
};

namespace detail {

template <class F>
void start_after_call(spawn_record* r) {
    struct reference {
        after_node* a;
        ~reference() { release_after(a); }
    } hold{*static_cast<after_node**>(r->closure)};
    free_record(r);
    std::invoke(*static_cast<F*>(after_function(hold.a)));
}

}  // namespace detail

// Calls f() in a goroutine of its own once the context is done, at once if it is. Dropping the
// handle stops nothing. Where no run time runs then, f is called by who cancels, when all is done.
template <class F>
    requires std::invocable<std::decay_t<F>&>
[[gnu::noinline]] stop_func after_func(const context& c, F&& f) {
    using function = std::decay_t<F>;
    auto owned = std::make_unique<function>(std::forward<F>(f));
    detail::after_node* a = detail::add_after(
        c, {.function = owned.get(),
            .destroy = [](void* p) noexcept { delete static_cast<function*>(p); },
            .call = [](void* p) { std::invoke(*static_cast<function*>(p)); },
            .start = &detail::start_after_call<function>,
            .created_at = __builtin_return_address(0)});
    owned.release();
    return stop_func(c.ref(), a);
}

// An error_group that cancels a context: at its first failure, with that as the cause, and when
// wait has seen all parts end.
class cancelling_error_group : public error_group {
  public:
    explicit cancelling_error_group(cancel_cause_func cancel)
        : error_group([=](std::error_code e, const std::exception_ptr& thrown) {
              if (thrown != nullptr)
                  cancel(thrown);
              else
                  cancel(e);
          }) {}
};

// auto [group, ctx] = with_context(parent);
struct [[nodiscard]] error_group_with_context {
    cancelling_error_group group;
    context ctx;
};
inline error_group_with_context with_context(const context& parent) {
    cancelable_cause made = with_cancel_cause(parent);
    return {.group = cancelling_error_group(std::move(made.cancel)), .ctx = std::move(made.ctx)};
}

}  // namespace pirn
