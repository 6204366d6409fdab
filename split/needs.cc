// SPDX-License-Identifier: MIT
// What is known of functions that did not go through the pass, by their names.
//
// A small need may stand here only if every path through the function is free of lazily bound
// calls: the dynamic linker's resolver takes 3 KB, and `-z now` for the program does not bind the
// libraries' own calls. So libstdc++'s __cxa_ functions are not here.
#include "split/needs.h"

#include <algorithm>
#include <array>

#include "split/cpu.h"
#include "split/text.h"

namespace split {

namespace {

struct entry {
    std::string_view name;
    int64_t need;  // 0: ordinary, only the arguments are known
};

// Sorted, so that a search may halve. System calls take a few words, clock_gettime 72 bytes.
constexpr auto k_known = std::to_array<entry>({
    {"_Unwind_Resume", 0},
    {"_ZSt9terminatev", 0},
    {"_ZdaPv", 1024},
    {"_ZdaPvm", 1024},
    {"_ZdlPv", 1024},
    {"_ZdlPvm", 1024},
    {"_Znam", 1024},
    {"_Znwm", 1024},
    {"__assert_fail", 0},
    {"__cxa_allocate_exception", 0},
    {"__cxa_atexit", 0},
    {"__cxa_bad_cast", 0},
    {"__cxa_begin_catch", 0},
    {"__cxa_end_catch", 0},
    {"__cxa_free_exception", 0},
    {"__cxa_get_exception_ptr", 0},
    {"__cxa_guard_abort", 0},
    {"__cxa_guard_acquire", 0},
    {"__cxa_guard_release", 0},
    {"__cxa_pure_virtual", 0},
    {"__cxa_rethrow", 0},
    {"__cxa_throw", 0},
    {"__cxa_throw_bad_array_new_length", 0},
    {"__dynamic_cast", 0},
    {"__errno_location", 32},
    {"__stack_chk_fail", 0},
    {"abort", 0},
    {"accept4", 256},
    {"bcmp", 0},
    {"calloc", 768},
    {"clock_gettime", 256},
    {"close", 256},
    {"epoll_ctl", 256},
    {"epoll_wait", 256},
    {"exit", 0},
    {"fflush", 0},
    {"fputc", 0},
    {"fputs", 0},
    {"free", 768},
    {"fwrite", 0},
    {"getpid", 256},
    {"gettid", 256},
    {"longjmp", 0},
    {"malloc", 768},
    {"pthread_mutex_lock", 256},
    {"pthread_mutex_trylock", 256},
    {"pthread_mutex_unlock", 256},
    {"pthread_self", 256},
    {"putchar", 0},
    {"puts", 0},
    {"qsort", 0},
    {"read", 256},
    {"readv", 256},
    {"realloc", 1024},
    {"recv", 256},
    {"recvmsg", 256},
    {"sched_yield", 256},
    {"send", 256},
    {"sendmsg", 256},
    {"strtol", 0},
    {"syscall", 256},
    {"write", 256},
    {"writev", 256},
});
static_assert(std::ranges::is_sorted(k_known, {}, &entry::name));

// Leaf functions of the C library, with a few words of stack at most.
constexpr auto k_leaves = std::to_array<std::string_view>({
    "abs",
    "labs",
    "memchr",
    "memcmp",
    "memcpy",
    "memmove",
    "memrchr",
    "memset",
    "rawmemchr",
    "stpcpy",
    "strchr",
    "strcmp",
    "strcpy",
    "strlen",
    "strncmp",
    "strnlen",
    "strrchr",
});
static_assert(std::ranges::is_sorted(k_leaves));

}  // namespace

foreign what_is_known(std::string_view name) {
    if (begins(name, "__pirn_") || begins(name, "__split$") || begins(name, "__splita$") ||
        begins(name, "__aarch64_") || same(name, "vfork")) {
        return {.kind = foreign_kind::untouched, .registers = true};
    }
    if (same(name, "setjmp") || same(name, "_setjmp") || same(name, "sigsetjmp") ||
        same(name, "__sigsetjmp")) {
        return {.kind = foreign_kind::sets_jump, .registers = true};
    }
    if (same(name, "__tls_get_addr") || same(name, "mcount") || same(name, "_mcount") ||
        same(name, "__fentry__")) {
        return {.kind = foreign_kind::opaque, .registers = true};
    }
    if (same(name, "__morestack") || same(name, "__morestack_non_split")) {
        return {.kind = foreign_kind::impossible, .why = "compiled with -fsplit-stack"};
    }
    if (begins(name, "__x86_indirect_thunk") || same(name, "__x86_return_thunk") ||
        begins(name, "__llvm_retpoline")) {
        return {.kind = foreign_kind::impossible,
                .why =
                    "calls through branch thunks are not understood: leave out "
                    "-mindirect-branch, -mfunction-return and -mretpoline"};
    }
    if (std::ranges::binary_search(k_leaves, name)) {
        return {.kind = foreign_kind::untouched,
                .registers = true,
                .copies = begins(name, "mem") || same(name, "stpcpy") || same(name, "strcpy")};
    }
    auto at = std::ranges::lower_bound(k_known, name, {}, &entry::name);
    if (at != k_known.end() && at->name == name) {
        return {.need = at->need ? at->need : k_foreign_need, .registers = true};
    }
    return {.need = k_foreign_need};
}

}  // namespace split
