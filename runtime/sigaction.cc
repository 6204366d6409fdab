// SPDX-License-Identifier: MIT
// sigaction and signal of the whole program: no handler runs on a goroutine's stack, whose block
// may have less room than the frame that the kernel alone puts there.
//
// These two stand in for libc's, in the program and in the libraries that it uses. A handler is
// installed with SA_ONSTACK, whatever its flags say, and reached through on_signal, which takes
// the limit word away: it does not belong to the signal stack that the handler's code runs on.
// A thread without a signal stack, which runs no goroutines, takes the signal as ever.
#include <cerrno>
#include <csignal>

#include "arch/arch.h"
#include "runtime/base/atomic.h"

#ifdef PIRN_SPLIT

extern "C" int __sigaction(int number, const struct sigaction* act, struct sigaction* old) noexcept;

namespace pirn::rt {
namespace {

using handler = void (*)(int, siginfo_t*, void*);

// The program's own handlers, and whether they were installed with SA_SIGINFO and SA_ONSTACK.
struct installed {
    base::atomic<handler> function{nullptr};
    base::atomic<int> flags{0};
};
installed handlers[NSIG];

void on_signal(int number, siginfo_t* info, void* context) {
    PIRN_PLAIN();
    const std::uintptr_t limit = arch::limit();
    arch::set_limit(0);
    // ORD(handler): acquire; what the installer wrote before. Pairs with the release below.
    handlers[number].function.load(std::memory_order_acquire)(number, info, context);
    arch::set_limit(limit);
}

bool is_handler(const struct sigaction& act) {
    return act.sa_handler != SIG_DFL && act.sa_handler != SIG_IGN && act.sa_handler != SIG_ERR;
}

// What the program asked for, instead of what the kernel was told.
void show_as_asked(struct sigaction& act, handler function, int flags) {
    if (act.sa_sigaction != on_signal) return;
    act.sa_sigaction = function;
    constexpr int k_ours = SA_SIGINFO | SA_ONSTACK;
    act.sa_flags = (act.sa_flags & ~k_ours) | (flags & k_ours);
}

int install(int number, const struct sigaction* act, struct sigaction* old) {
    if (number <= 0 || number >= NSIG) {
        errno = EINVAL;
        return -1;
    }
    installed& mine = handlers[number];
    const handler before = mine.function.load(std::memory_order_relaxed);
    const int flags_before = mine.flags.load(std::memory_order_relaxed);
    struct sigaction told;
    if (act != nullptr && is_handler(*act)) {
        told = *act;
        told.sa_sigaction = on_signal;
        told.sa_flags |= SA_SIGINFO | SA_ONSTACK;
        // ORD(handler): release; pairs with the acquire in on_signal. Before the kernel knows, so
        // that a signal finds it.
        mine.function.store(act->sa_sigaction, std::memory_order_release);
        mine.flags.store(act->sa_flags, std::memory_order_relaxed);
        act = &told;
    }
    const int result = ::__sigaction(number, act, old);
    if (result != 0) {
        // ORD(handler): release; as above.
        mine.function.store(before, std::memory_order_release);
        mine.flags.store(flags_before, std::memory_order_relaxed);
        return result;
    }
    if (old != nullptr) show_as_asked(*old, before, flags_before);
    return 0;
}

}  // namespace
}  // namespace pirn::rt

extern "C" [[gnu::visibility("default")]] int sigaction(int number, const struct sigaction* act,
                                                       struct sigaction* old) noexcept {
    return pirn::rt::install(number, act, old);
}

extern "C" [[gnu::visibility("default")]] sighandler_t signal(int number,
                                                             sighandler_t function) noexcept {
    struct sigaction act {}, old {};
    act.sa_handler = function;
    act.sa_flags = SA_RESTART;
    ::sigemptyset(&act.sa_mask);
    return ::sigaction(number, &act, &old) == 0 ? old.sa_handler : SIG_ERR;
}

#endif
