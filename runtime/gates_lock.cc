// SPDX-License-Identifier: MIT
// Gates of locks: what a goroutine holds of the operating system's is counted.
//
// A goroutine with a count is not preempted (g::os_locks): who waits for the lock would wait for
// its turn too. Locks whose owner is a thread (recursive, error-checking, robust, and of priority
// inheritance or protection; rwlocks; streams) bind the goroutine to its M while it holds them.
// A plain mutex may be unlocked by another goroutine than locked it: then the locker's count stays
// too high, and the other's is not decreased below 0. Debug builds report a goroutine that parks
// with a count (os_locks.cc).
//
// The one call that never blocks comes first, here in a plain function, so that an uncontended
// lock costs next to nothing; only one that is taken is waited for in a region.
#include "runtime/gate.h"

#ifdef PIRN_SPLIT

#include <cerrno>
#include <type_traits>

#include <linux/futex.h>
#include <sys/syscall.h>

#include "runtime/g.h"
#include "runtime/gates.h"
#include "runtime/m.h"

namespace pirn::rt {
namespace {

// Bits of a mutex's kind in the C library: its type, of which the adaptive one has no owner either;
// robust, priority-inheriting, priority-protecting.
constexpr int k_owned_bits = 3 | 16 | 32 | 64;

int kind_of(const pthread_mutex_t* mutex) { return mutex->__data.__kind; }
int kind_of(const mtx_t* mutex) {
    static_assert(sizeof(mtx_t) <= sizeof(pthread_mutex_t));
    return kind_of(reinterpret_cast<const pthread_mutex_t*>(mutex));
}

// Whether a lock's owner is the thread; and, in one test, whether it may be.
template <class Mutex>
[[gnu::always_inline]] inline bool may_be_threads(const Mutex* mutex) {
    return (kind_of(mutex) & k_owned_bits) != 0;
}
[[gnu::always_inline]] inline bool may_be_threads(const pthread_rwlock_t*) { return true; }
[[gnu::always_inline]] inline bool may_be_threads(const FILE*) { return true; }
template <class Mutex>
bool is_threads(const Mutex* mutex) {
    return (kind_of(mutex) & k_owned_bits) != PTHREAD_MUTEX_ADAPTIVE_NP && may_be_threads(mutex);
}
bool is_threads(const pthread_rwlock_t*) { return true; }
bool is_threads(const FILE*) { return true; }

// Whether a try has taken it: a robust mutex may come with the news of its last owner's death.
[[gnu::always_inline]] inline bool has_taken(const void*, int result) {
    return result == 0 || result == EOWNERDEAD;
}

// The running goroutine. A gate comes back on the thread it was entered on, so that, unlike
// elsewhere, the thread's word may be read in line.
[[gnu::always_inline]] inline g* running() { return static_cast<m*>(arch::__pirn_thread)->cur(); }

void bind(g* gp) {
    ++gp->os_bindings;
    bind_thread();
}
void unbind(g* gp) {
    if (gp->os_bindings == 0) return;
    --gp->os_bindings;
    unbind_thread();
}

template <class T>
[[gnu::noinline]] void bind_if_threads(g* gp, const T* lock) {
    if (gates_are_open && is_threads(lock)) bind(gp);
}

// Counted, when the running goroutine has taken it; also where the library itself makes the call.
// Without gates nothing is, which costs no test.
template <class T>
[[gnu::always_inline]] inline void took(const T* lock) {
    g* gp = running();
    gp->os_locks += gates_are_open;
    if (may_be_threads(lock)) [[unlikely]]
        bind_if_threads(gp, lock);
}
// A semaphore is held by nobody.
[[gnu::always_inline]] inline void took(const sem_t*) {}

[[gnu::always_inline]] inline void gave() {
    g* gp = running();
    if (gp->os_locks > 0) --gp->os_locks;
}

template <auto Real, class T>
[[gnu::noinline]] auto give_slow(T* lock) {
    const bool bound = is_threads(lock);  // it may be gone when it has been given back
    const auto done = [bound] {
        gave();
        if (bound) unbind(running());
    };
    if constexpr (std::is_void_v<decltype(Real(lock))>) {
        call_real<Real>(lock);
        done();
    } else {
        const int result = call_real<Real>(lock);
        if (result == 0) done();
        return result;
    }
}

// Results as an int, of functions that return none too.
template <auto Real, class... A>
[[gnu::always_inline]] inline int call_for_int(A... a) {
    if constexpr (std::is_void_v<decltype(Real(a...))>) {
        call_real<Real>(a...);
        return 0;
    } else {
        return call_real<Real>(a...);
    }
}

// Only the functions of semaphores leave something in errno.
template <class T>
[[gnu::always_inline]] inline int errno_of_try() {
    return std::is_same_v<T, sem_t*> ? errno : 0;
}

// It is taken, or the try has found something wrong: the function itself says what.
template <auto Real, class T, class... A>
[[gnu::noinline]] int take_slow(int tried, int errno_before, T* lock, A... a) {
    if (std::is_same_v<T, sem_t>) errno = errno_before;
    int result;
    if (has_taken(lock, tried)) {
        result = tried;
    } else if (!gates_are_open) {
        result = call_for_int<Real>(lock, a...);
    } else {
        constexpr bool is_semaphore = std::is_same_v<T, sem_t>;
        const blocking_region region(is_semaphore ? blocking_region::kind::is_long
                                                  : blocking_region::kind::is_lock);
        result = call_for_int<Real>(lock, a...);
    }
    if (has_taken(lock, result)) took(lock);
    return result;
}

}  // namespace

#define TRIES(name)                                                     \
    PIRN_GATE(name, #name, int, parameter_of<decltype(::name), 0> a0) { \
        PIRN_PLAIN();                                                   \
        const int result = ::name(a0);                                  \
        if (has_taken(a0, result) && arch::limit() != 0) took(a0);      \
        return result;                                                  \
    }
// On a cache line of their own: where they lie is worth more than an instruction.
#define ALIGNED(name, ...)                                                                    \
    extern "C" [[gnu::aligned(64)]] result_of<decltype(::name)> pirn_gate_##name(__VA_ARGS__)
#define TAKES(name, parameters, tries)                                                 \
    PIRN_REAL(name, #name, decltype(::name));                                          \
    ALIGNED(name, PIRN_PARAMETERS_##parameters(decltype(::name)));                     \
    PIRN_GATE(name, #name, result_of<decltype(::name)>,                                \
              PIRN_PARAMETERS_##parameters(decltype(::name))) {                        \
        PIRN_PLAIN();                                                                  \
        using result = result_of<decltype(::name)>;                                    \
        if (arch::limit() == 0) return pirn_real_##name(PIRN_ARGUMENTS_##parameters);  \
        const int errno_before = errno_of_try<decltype(a0)>();                         \
        const int tried = ::tries(a0);                                                 \
        if (tried == 0) [[likely]] {                                                   \
            took(a0);                                                                  \
            return static_cast<result>(0);                                             \
        }                                                                              \
        return static_cast<result>(take_slow<pirn_real_##name>(                        \
            tried, errno_before PIRN_MORE_##parameters)); \
    }
#define GIVES(name)                                                                             \
    PIRN_REAL(name, #name, decltype(::name));                                                   \
    ALIGNED(name, PIRN_PARAMETERS_1(decltype(::name)));                                         \
    PIRN_GATE(name, #name, result_of<decltype(::name)>, parameter_of<decltype(::name), 0> a0) { \
        PIRN_PLAIN();                                                                           \
        if (arch::limit() == 0) return ::name(a0);                                              \
        if (may_be_threads(a0)) [[unlikely]]                                                    \
            return give_slow<pirn_real_##name>(a0);                                             \
        /* Of a plain one this does not fail. */                                                \
        gave();                                                                                 \
        return ::name(a0);                                                                      \
    }
PIRN_GATES_OF_LOCKS(TAKES, TRIES, GIVES)

PIRN_CALL(syscall, type::syscall, 7);  // gates.cc

namespace {

// Bits of a pthread_once_t in the C library.
constexpr int k_once_in_progress = 1;
constexpr int k_once_done = 2;

int state_of(const int* once) { return *static_cast<const volatile int*>(once); }

// The initializer runs inside the C library's function, which leaves a record with the thread: so
// the goroutine stays on it.
class initializing {
  public:
    initializing() {
        g* gp = running();
        ++gp->os_locks;
        bind(gp);
    }
    ~initializing() {
        gave();
        unbind(running());
    }
    initializing(const initializing&) = delete;
    initializing& operator=(const initializing&) = delete;
};

// Somebody else's initializer is waited for in a region, but ours must not run in one. It does
// where the function itself is called: if others begin between the look and the call, this P is
// blocked until they are through, while theirs is free.
template <auto Real, class Once>
[[gnu::noinline]] int once_slow(Once* once, int* state, void (*init)()) {
    if (!gates_are_open) return call_for_int<Real>(once, init);
    for (;;) {
        const int seen = state_of(state);
        if ((seen & (k_once_in_progress | k_once_done)) != k_once_in_progress) break;
        const blocking_region region(blocking_region::kind::is_long);
        const int errno_before = errno;
        __pirn_call_syscall(SYS_futex, reinterpret_cast<long>(state), FUTEX_WAIT_PRIVATE, seen, 0,
                            0, 0);
        errno = errno_before;
    }
    const initializing now;
    return call_for_int<Real>(once, init);
}

PIRN_REAL(__cxa_guard_acquire, "__cxa_guard_acquire", type::guard_acquire);
PIRN_REAL(__cxa_guard_release, "__cxa_guard_release", type::guard_end);
PIRN_REAL(__cxa_guard_abort, "__cxa_guard_abort", type::guard_end);

[[gnu::noinline]] int guard_acquire_slow(std::uint64_t* guard) {
    constexpr auto real = pirn_real___cxa_guard_acquire;
    if (!gates_are_open) return call_real<real>(guard);
    int result;
    {
        const blocking_region region;
        result = call_real<real>(guard);
    }
    if (result != 0) ++running()->os_locks;
    return result;
}

template <auto Real>
[[gnu::noinline]] void guard_end_slow(std::uint64_t* guard) {
    call_real<Real>(guard);
    if (gates_are_open) gave();
}

}  // namespace

// The function is small where there is nothing to do.
#define ONCE(name, state)                                                                      \
    PIRN_REAL(name, #name, decltype(::name));                                                  \
    PIRN_GATE(name, #name, result_of<decltype(::name)>, PIRN_PARAMETERS_2(decltype(::name))) { \
        PIRN_PLAIN();                                                                          \
        using result = result_of<decltype(::name)>;                                            \
        if (arch::limit() == 0 || (state_of(state) & k_once_done) != 0)                        \
            return pirn_real_##name(a0, a1);                                                   \
        return static_cast<result>(                                                            \
            once_slow<pirn_real_##name>(a0, state, a1));          \
    }
ONCE(pthread_once, a0)
ONCE(call_once, &a0->__data)

PIRN_GATE(__cxa_guard_acquire, "__cxa_guard_acquire", int, std::uint64_t* guard) {
    PIRN_PLAIN();
    if (arch::limit() == 0) return pirn_real___cxa_guard_acquire(guard);
    return guard_acquire_slow(guard);
}
#define GUARD_END(name)                                                       \
    PIRN_GATE(name, #name, void, std::uint64_t* guard) {                      \
        PIRN_PLAIN();                                                         \
        if (arch::limit() == 0) return pirn_real_##name(guard);               \
        guard_end_slow<pirn_real_##name>(guard); \
    }
GUARD_END(__cxa_guard_release)
GUARD_END(__cxa_guard_abort)

void have_lock_gates() {}

}  // namespace pirn::rt

#endif
