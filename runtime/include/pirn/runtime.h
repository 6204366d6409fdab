// SPDX-License-Identifier: MIT
// Goroutines: run, go, yield, goexit, and what belongs to them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include <pirn/sleep.h>

#ifdef PIRN_SPLIT
// Only the assembler pass of pkg-config pirn understands this; a plain assembler stops here, before
// code that counts on growing stacks is built without them.
asm(".pirn_split 1");
#endif

namespace pirn {

// When a goroutine that does not give way by itself is made to, after a slice of 10 ms or when a
// timer is due: never, at the checks of the stack, or also between them, by a signal. Goroutines
// keep their thread then. Only code that went through the pass is; checkpoint() is for other.
enum class preemption { off, cooperative, full };

struct options {
    // Goroutines that run at once (Ps). 0: PIRN_MAXPROCS, else the smaller of the affinity mask's
    // count and the cgroup's CPU quota rounded up.
    int procs = 0;
    int max_threads = 10000;              // Ms; more is a fatal error
    std::size_t max_stack = 256u << 20;   // the largest stack a goroutine may have
    preemption preempt = preemption::full;
};

struct go_options {
    std::string_view name{};  // for dumps; must outlive the goroutine (a literal)
    std::size_t stack = 0;    // start on a stack of at least this many bytes
};

// Misuse that a program may recover from; what() is Go's text ("send on closed channel").
class [[gnu::visibility("default")]] panic : public std::logic_error {
  public:
    using std::logic_error::logic_error;
};

// defer d{[&]{ ... }}: the function runs when the scope ends, by whatever way; last in first out.
// It may throw where no other exception is on its way.
template <class F>
class [[nodiscard]] defer {
  public:
    explicit defer(F f) : f_(std::move(f)) {}
    defer(const defer&) = delete;
    defer& operator=(const defer&) = delete;
    ~defer() noexcept(false) { f_(); }

  private:
    F f_;
};

namespace detail {

// What the run queues hold: a goroutine, or the record of one that has not run yet.
struct qnode {
    enum kinds : std::uint8_t {
        k_goroutine,
        k_record,
        k_bound,  // a goroutine that only its own thread may run
    };
    qnode* next = nullptr;
    kinds kind = k_goroutine;
};

// A goroutine that has not run yet: its closure and where it comes from. It gets a stack when it
// first runs; the closure then moves there and the record is reused at once.
struct alignas(16) spawn_record : qnode {
    static constexpr std::size_t k_inline_bytes = 64;

    bool pooled = false;                      // storage is of the common size
    std::uint32_t name_bytes = 0;
    void (*invoke)(spawn_record*) = nullptr;  // on its stack: runs the closure, frees the record
    void* closure = nullptr;
    const void* created_at = nullptr;         // the caller of go
    std::uint64_t created_by = 0;             // its goroutine's id; 0: a foreign thread
    const char* name = nullptr;
    std::uint32_t stack_bytes = 0;            // asked for by go_options
};

// A record with room for a closure. Throws panic outside any runtime.
spawn_record* new_record(std::size_t bytes, std::size_t align);
void free_record(spawn_record* r) noexcept;
// Makes it runnable. Takes the record over.
void spawn(spawn_record* r) noexcept;

template <class Closure>
void invoke_closure(spawn_record* r) {
    auto* c = static_cast<Closure*>(r->closure);
    if constexpr (std::is_nothrow_move_constructible_v<Closure>) {
        Closure local(std::move(*c));
        c->~Closure();
        free_record(r);
        local();
    } else {
        struct owner {
            spawn_record* r;
            Closure* c;
            ~owner() {
                c->~Closure();
                free_record(r);
            }
        } hold{r, c};
        (*c)();
    }
}

// Calls f(args...) with everything moved, once.
template <class F, class... A>
struct bound_call {
    F f;
    std::tuple<A...> args;
    void operator()() { std::apply(std::move(f), std::move(args)); }
};
template <class F>
struct bound_call<F> {
    F f;
    void operator()() { std::invoke(std::move(f)); }
};

template <class Closure, class... Init>
[[gnu::always_inline]] inline void spawn_closure(const go_options* o, const void* at,
                                                 Init&&... init) {
    spawn_record* r = new_record(sizeof(Closure), alignof(Closure));
    if constexpr (noexcept(Closure{std::forward<Init>(init)...})) {
        ::new (r->closure) Closure{std::forward<Init>(init)...};
    } else {
        try {
            ::new (r->closure) Closure{std::forward<Init>(init)...};
        } catch (...) {
            free_record(r);
            throw;
        }
    }
    r->invoke = &invoke_closure<Closure>;
    r->created_at = at;
    if (o != nullptr) {
        r->name = o->name.data();
        r->name_bytes = static_cast<std::uint32_t>(o->name.size());
        constexpr std::size_t k_most = 1u << 31;
        r->stack_bytes = static_cast<std::uint32_t>(o->stack < k_most ? o->stack : k_most);
    }
    spawn(r);
}

template <class F, class... A>
[[gnu::always_inline]] inline void go_call(const go_options* o, const void* at, F&& f,
                                           A&&... args) {
    static_assert(std::is_invocable_v<std::decay_t<F>, std::decay_t<A>...>,
                  "pirn::go: f must be callable with the arguments' decayed copies");
    using closure = bound_call<std::decay_t<F>, std::decay_t<A>...>;
    if constexpr (sizeof...(A) == 0)
        spawn_closure<closure>(o, at, std::forward<F>(f));
    else
        spawn_closure<closure>(o, at, std::forward<F>(f),
                               std::tuple<std::decay_t<A>...>(std::forward<A>(args)...));
}

// A value of a goroutine_local, in front of the object itself.
struct local_value {
    local_value* made_before = nullptr;
    std::uint64_t owner = 0;                 // the goroutine_local's id
    std::uint32_t slot = 0;
    void (*destroy)(void* object) = nullptr;
    void* object = nullptr;
};
struct local_slot {
    local_slot* next_free = nullptr;
    std::uint32_t number = 0;
};

// What names a goroutine_local; the functions are about the calling goroutine's value.
class local_key {
  public:
    local_key();
    ~local_key();
    local_key(const local_key&) = delete;
    local_key& operator=(const local_key&) = delete;

    void* find() const;                                  // null: none was made yet
    local_value* prepare(std::size_t bytes, std::size_t align) const;   // with room for an object
    void keep(local_value* v) const;                     // takes it over, its object made
    static void drop(local_value* v) noexcept;           // one that was not kept

  private:
    std::uint64_t id_ = 0;
    local_slot* slot_ = nullptr;
};

void run_main(void (*main_fn)(void*), void* arg, const options& o);

// Calls fn(arg) where 64 KB of stack are left.
void call_large(void (*fn)(void*), void* arg);

}  // namespace detail

// Starts the runtime on the calling thread, with main_fn as the main goroutine, and returns its
// int (0 for void) when it returns. The other goroutines have then stopped at a park or a yield
// and are dropped where they stand: no destructors run, and what they alone referred to is not
// reclaimed. May be called again afterwards. Throws panic when a runtime runs already.
template <class F>
int run(F&& main_fn, options o = {}) {
    int result = 0;
    auto body = [&] {
        if constexpr (std::is_void_v<std::invoke_result_t<F&>>)
            std::invoke(main_fn);
        else
            result = static_cast<int>(std::invoke(main_fn));
    };
    detail::run_main([](void* b) { (*static_cast<decltype(body)*>(b))(); }, &body, o);
    return result;
}

// Embedding: starts the runtime beside a program's own main loop. There is no main goroutine, and
// goroutines run on threads that the runtime makes when they are needed. Throws panic when a
// runtime runs already.
void start(const options& o = {});

// Ends what start began, as the end of run does: goroutines are dropped where they stand. Blocks
// until they have left, and until poll_once has returned where another thread is in it. From any
// thread that runs no goroutine; throws panic there, and where nothing was started.
void stop();

// A host's event loop drives a P: from the first call of either function on one P is kept for the
// thread that calls poll_once, if the number of Ps is 1 the only one.
//
// poll_fd: a descriptor for the host's poll or epoll. It is readable when there is something for
// poll_once to run; it belongs to the runtime and is valid until stop. Throws panic outside any
// runtime.
int poll_fd();

namespace detail {
bool poll_once_until_ns(std::int64_t deadline_ns);
}  // namespace detail

// poll_once: runs goroutines on the calling thread, for a millisecond at the most where they yield
// or park, and returns true; waits for up to `wait` if there are none, and returns false if none
// came, or the run ends. One thread at a time, and not a goroutine: throws panic otherwise. A
// goroutine that calls lock_os_thread here keeps the thread, and with it this call, until it
// unlocks it or ends.
template <class Rep, class Period>
bool poll_once(std::chrono::duration<Rep, Period> wait) {
    return detail::poll_once_until_ns(detail::deadline_ns_after(detail::steady_ns(clock::now()),
                                                                detail::saturate_ns(wait)));
}

// Starts f(args...) as a goroutine; f and the arguments are decayed and moved as std::thread does.
// From goroutines and foreign threads; does not block. Throws panic outside any runtime.
template <class F, class... A>
    requires(!std::is_same_v<std::remove_cvref_t<F>, go_options>)
[[gnu::noinline]] void go(F&& f, A&&... args) {
    detail::go_call(nullptr, __builtin_return_address(0), std::forward<F>(f),
                    std::forward<A>(args)...);
}
template <class F, class... A>
[[gnu::noinline]] void go(const go_options& o, F&& f, A&&... args) {
    detail::go_call(&o, __builtin_return_address(0), std::forward<F>(f),
                    std::forward<A>(args)...);
}

// Lets other goroutines run; the caller goes to the back of its queue. On a foreign thread: yields
// the thread.
void yield();

// Gives way only if the scheduler asks for it. For long loops.
void checkpoint();

// From the first call on the calling goroutine runs on its present thread, which runs no other,
// until unlock_os_thread was called as often. A goroutine that ends before that ends its thread.
// On a foreign thread: no effect.
void lock_os_thread();
void unlock_os_thread();

namespace detail {
// From construction to destruction the goroutine's thread may block in the kernel: its P goes to
// another thread if it takes long. Destruction waits for a P. No effect on foreign threads and
// within another region. Keeps errno.
class [[gnu::visibility("default")]] blocking_region {
  public:
    enum class kind : std::uint8_t {
        may_block,
        is_lock,  // one that is taken; mostly for a short time, so the P stays a little longer
        is_long,  // the P is handed on at once
    };
    explicit blocking_region(kind k = kind::may_block) noexcept { enter(k); }
    ~blocking_region() {
        if (m_ != nullptr) leave();
    }
    blocking_region(const blocking_region&) = delete;
    blocking_region& operator=(const blocking_region&) = delete;

  private:
    void enter(kind k) noexcept;
    void leave() noexcept;
    void* m_ = nullptr;  // null: no effect
};
}  // namespace detail

// Calls f, which may block its thread (a system call, foreign code), and returns what it returns.
// The other goroutines go on meanwhile: where f takes more than a few tens of microseconds, its P
// is given to another thread. f runs, and the goroutine goes on, on the same thread. Within f, what
// blocks in this library blocks the thread, as on foreign threads.
template <class F>
decltype(auto) blocking(F&& f) {
    detail::blocking_region region;
    return std::invoke(std::forward<F>(f));
}

// Calls f() where at least 64 KB of stack are left, and returns what it returns: on this stack if
// it has them, else on a segment. For deep code that was not compiled for growing stacks and is not
// reached by a call (whose stack is seen to by itself), such as inline assembly.
template <class F>
decltype(auto) on_large_stack(F&& f) {
    using result = std::invoke_result_t<F>;
    if constexpr (std::is_void_v<result>) {
        detail::call_large(
            [](void* arg) {
                std::invoke(std::forward<F>(*static_cast<std::remove_reference_t<F>*>(arg)));
            },
            const_cast<void*>(static_cast<const void*>(std::addressof(f))));
    } else if constexpr (std::is_reference_v<result>) {
        std::remove_reference_t<result>* out = nullptr;
        on_large_stack([&] { out = std::addressof(std::invoke(std::forward<F>(f))); });
        return static_cast<result>(*out);
    } else {
        std::optional<result> out;
        on_large_stack([&] { out.emplace(std::invoke(std::forward<F>(f))); });
        return result(std::move(*out));
    }
}

// Ends the calling goroutine by a forced unwind: destructors run. A catch (...) on the way that
// does not rethrow, and a noexcept function, are fatal. On a foreign thread: throws panic.
[[noreturn]] void goexit();

// One T for each goroutine, made on its first use there and destroyed at the goroutine's end, by
// return and by goexit, before the goroutine is gone for others: destructors run on it, in reverse
// order of making, and may block and use other goroutine_locals. For globals and static members; a
// use costs a few nanoseconds more than a thread_local.
//
// On a thread that runs no goroutine there is one T for the thread, destroyed at its end (as with
// pthread keys, not for the thread that leaves main). The main goroutine's is another one than that
// of the thread that called run. A run that ends destroys none of the goroutines that it drops.
// A goroutine_local may be destroyed before the values, which stay until their goroutines end.
template <class T>
class goroutine_local {
  public:
    // Values are T().
    goroutine_local() = default;
    // Values are what make() returns, called on the goroutine.
    explicit goroutine_local(T (*make)()) : make_(make) {}

    // The calling goroutine's. The reference stays valid until the goroutine ends, also where it
    // goes on on another thread.
    T& get() const {
        if (void* object = key_.find()) [[likely]]
            return *static_cast<T*>(object);
        return get_slow();
    }
    T& operator*() const { return get(); }
    T* operator->() const { return std::addressof(get()); }
    // Whether the calling goroutine has made its own.
    bool has_value() const { return key_.find() != nullptr; }

  private:
    struct unkept {
        detail::local_value* value;
        bool made = false;
        ~unkept() {
            if (value == nullptr) return;
            if (made) value->destroy(value->object);
            detail::local_key::drop(value);
        }
    };
    [[gnu::noinline]] T& get_slow() const {
        unkept u{key_.prepare(sizeof(T), alignof(T))};
        detail::local_value* v = u.value;
        v->destroy = [](void* object) { static_cast<T*>(object)->~T(); };
        T* object = make_ != nullptr ? ::new (v->object) T(make_()) : ::new (v->object) T();
        u.made = true;
        key_.keep(v);
        u.value = nullptr;
        return *object;
    }

    detail::local_key key_;
    T (*make_)() = nullptr;
};

// The number of Ps; n > 0 sets it. Returns the former setting. May be called at any time.
int maxprocs(int n = 0);

// How many threads the runtime may have, options::max_threads at first; returns the former number.
// A program that needs more, at once or later, ends with "runtime: program exceeds N-thread limit"
// and status 2. Throws panic outside any runtime.
int set_max_threads(int n);

// CPUs this process may use, by its affinity mask at the start.
int num_cpu();

// Goroutines that exist, the main goroutine included; 0 outside any runtime.
std::size_t num_goroutine();

}  // namespace pirn
