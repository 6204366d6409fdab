// SPDX-License-Identifier: MIT
// Gates: calls that may block, made by code that went through the pass, give the P away meanwhile.
//
// A user's object calls read by the name `__split$read` and carries a weak definition of it, which
// calls read where there is enough stack. The strong definition here takes its place, if this
// object is in the link: init.cc refers to it. So a call in source that knows nothing of goroutines
// blocks its thread and no other goroutine. Calls from libraries that did not go through the pass
// block the P; sysmon does not see them.
//
// Behind a gate a goroutine comes back on the thread that it left: the caller may hold the address
// of errno or of another thread-local.
#include "runtime/gate.h"

#ifdef PIRN_SPLIT

#include <cerrno>
#include <cstdarg>
#include <cstddef>

#include <linux/futex.h>
#include <sys/syscall.h>

#include "runtime/gates.h"
#include "runtime/sched.h"
#include "runtime/settings.h"

namespace pirn::rt {

constinit bool gates_are_open = true;

namespace {

// What the calls' arguments say (the last column of the table).

constexpr auto may_block = [](auto...) { return how::may_block; };
constexpr auto is_long = [](auto...) { return how::is_long; };

constexpr how unless(bool returns_at_once) {
    return returns_at_once ? how::straight : how::may_block;
}
template <class Time>
constexpr how within(const Time* limit) {
    if (limit == nullptr) return how::may_block;
    if constexpr (requires { limit->tv_nsec; })
        return unless(limit->tv_sec == 0 && limit->tv_nsec == 0);
    else
        return unless(limit->tv_sec == 0 && limit->tv_usec == 0);
}

constexpr auto until_ms = [](auto, auto, int ms, auto...) { return unless(ms == 0); };
constexpr auto until_timespec = [](auto, auto, const timespec* limit, auto...) {
    return within(limit);
};
constexpr auto until_select = [](auto, auto, auto, auto, auto* limit, auto...) {
    return within(limit);
};
constexpr auto until_epoll_ms = [](auto, auto, auto, int ms, auto...) { return unless(ms == 0); };
constexpr auto until_epoll_timespec = [](auto, auto, auto, const timespec* limit, auto) {
    return within(limit);
};

constexpr how for_child(int options) {
    return (options & WNOHANG) != 0 ? how::straight : how::is_long;
}
constexpr auto until_child = [](auto, int options, auto) { return for_child(options); };
constexpr auto until_child_of_pid = [](auto, auto, int options, auto...) {
    return for_child(options);
};
constexpr auto until_child_of_id = [](auto, auto, auto, int options) { return for_child(options); };

constexpr auto lock_of_file = [](auto, int operation) {
    return unless((operation & LOCK_NB) != 0);
};
constexpr auto lock_of_range = [](auto, int command, auto) { return unless(command != F_LOCK); };
constexpr auto command_of_file = [](auto, int command, auto) {
    return unless(command != F_SETLKW && command != F_OFD_SETLKW);
};

// Read without the stream's lock: a character that is taken meanwhile makes one call block the P.
how next_in(FILE* f) { return unless(f->_IO_read_ptr < f->_IO_read_end); }
how room_in(FILE* f) { return unless(f->_IO_write_ptr < f->_IO_write_end); }
constexpr auto next_of_stream = [](FILE* f) { return next_in(f); };
constexpr auto next_of_stdin = [] { return next_in(stdin); };
constexpr auto room_of_stream = [](auto, FILE* f) { return room_in(f); };
constexpr auto room_of_stdout = [](auto) { return room_in(stdout); };

how of_futex(long operation) {
    switch (operation & FUTEX_CMD_MASK) {
        case FUTEX_WAIT:
        case FUTEX_WAIT_BITSET:
        case FUTEX_WAIT_REQUEUE_PI:
        case FUTEX_LOCK_PI: return how::is_long;
        default: return how::straight;
    }
}

// Others than the futex are called by number where the C library has no function for them; the
// ones that answer at once are many, and those are let through.
constexpr auto number_of_call = [](long number, auto, long operation, auto...) {
    switch (number) {
        case SYS_futex: return of_futex(operation);
        case SYS_read:
        case SYS_readv:
        case SYS_pread64:
        case SYS_preadv:
        case SYS_preadv2:
        case SYS_write:
        case SYS_writev:
        case SYS_pwrite64:
        case SYS_pwritev:
        case SYS_pwritev2:
        case SYS_openat:
        case SYS_openat2:
        case SYS_connect:
        case SYS_accept:
        case SYS_accept4:
        case SYS_recvfrom:
        case SYS_recvmsg:
        case SYS_recvmmsg:
        case SYS_sendto:
        case SYS_sendmsg:
        case SYS_sendmmsg:
        case SYS_ppoll:
        case SYS_pselect6:
        case SYS_epoll_pwait:
        case SYS_epoll_pwait2:
        case SYS_io_uring_enter:
        case SYS_io_getevents:
        case SYS_getrandom: return how::may_block;
        case SYS_nanosleep:
        case SYS_clock_nanosleep:
        case SYS_wait4:
        case SYS_waitid: return how::is_long;
        default: return how::straight;
    }
};

template <auto Real, auto ByName, class Blocks, class... A>
[[gnu::noinline]] auto pass(Blocks blocks, A... a) {
    if (!gates_are_open) return call_real<Real, ByName>(a...);
    const how long_it_takes = blocks(a...);
    if (long_it_takes == how::straight) return call_real<Real, ByName>(a...);
    const blocking_region region(long_it_takes == how::is_long ? blocking_region::kind::is_long
                                                               : blocking_region::kind::may_block);
    return call_real<Real, ByName>(a...);
}

}  // namespace

#define GATE(name, parameters, need, blocks)                  \
    GATE_AS(name, decltype(::name), parameters, need, blocks)
#define GATE_AS(name, type, parameters, need, blocks)     \
    GATE_CXX(name, #name, type, parameters, need, blocks)
#define GATE_CXX(name, symbol, type, parameters, need, blocks)                        \
    PIRN_REAL(name, symbol, type);                                                    \
    static_assert(signature<type>::count == parameters);                              \
    DEFINE_##need(name, type, parameters)                                             \
    PIRN_GATE(name, symbol, result_of<type>, PIRN_PARAMETERS_##parameters(type)) {    \
        PIRN_PLAIN();                                                                 \
        if (arch::limit() == 0) return pirn_real_##name(PIRN_ARGUMENTS_##parameters); \
        return pass<pirn_real_##name, BY_NAME_##need(name)>(                          \
            blocks PIRN_MORE_##parameters);              \
    }
#define BY_NAME_large(name) nullptr
#define BY_NAME_small(name) __pirn_call_##name
#define DEFINE_large(name, type, parameters)
#define DEFINE_small(name, type, parameters)                  \
    PIRN_CALL(name, type, parameters) {                       \
        PIRN_PLAIN();                                         \
        return pirn_real_##name(PIRN_ARGUMENTS_##parameters); \
    }
PIRN_GATES_OF_DESCRIPTORS(GATE, GATE_AS)
PIRN_GATES_OF_WAITS(GATE, GATE_AS)
PIRN_GATES_OF_CXX(GATE_CXX)
PIRN_GATES_OF_STREAMS(GATE, GATE_AS)

#define PIRN_AND_MORE(...) __VA_ARGS__, ...
#define PIRN_LISTED(...) __VA_ARGS__
#define GATE_VARIADIC(name, result, parameters, last, function, arguments) \
    PIRN_GATE(name, #name, result, PIRN_AND_MORE parameters) {             \
        PIRN_PLAIN();                                                      \
        va_list list;                                                      \
        va_start(list, last);                                              \
        const result r = arch::limit() == 0                                \
                             ? pirn_real_##function arguments              \
                             : pass<pirn_real_##function, nullptr>(        \
                                   may_block, \
                                   PIRN_LISTED arguments);                 \
        va_end(list);                                                      \
        return r;                                                          \
    }
PIRN_GATES_VARIADIC(GATE_VARIADIC)
PIRN_GATES_VARIADIC_23(GATE_VARIADIC)

// gates_variadic.cc
using any_function = void (*)();
[[gnu::visibility("hidden")]] extern const any_function called_by_gates[];

void open_gates() {
    asm volatile("" : : "r"(called_by_gates));  // that object is in the link
    gates_are_open = debug_setting("gates") != "0";
    have_lock_gates();
}

}  // namespace pirn::rt

#else

namespace pirn::rt {
void open_gates() {}
}  // namespace pirn::rt

#endif
