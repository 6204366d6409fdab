// SPDX-License-Identifier: MIT
// sigaction and signal of the whole program: no handler runs on a goroutine's stack, whose block
// may have less room than the frame that the kernel alone puts there.
//
// These two stand in for libc's, in the program and in the libraries that it uses. A handler is
// installed with SA_ONSTACK, whatever its flags say, and reached through on_signal, which takes
// the limit word away: it does not belong to the signal stack that the handler's code runs on.
// A thread without a signal stack, which runs no goroutines, takes the signal as ever.
//
// The signal that the run time takes for itself (preempt.cc) stays with it: what the program asks
// for is noted, and its handler called by ours.
#include "runtime/signal.h"

#include <cerrno>
#include <cstdint>
#include <cstring>

#include <pthread.h>

#include "arch/arch.h"
#include "runtime/base/atomic.h"

#ifdef PIRN_SPLIT

extern "C" int __sigaction(int number, const struct sigaction* act, struct sigaction* old) noexcept;

namespace pirn::rt {
namespace {

using handler = signal_handler;

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

// Of the signal that is taken, 0 where none is: what the program wants done. One that comes while
// this changes may see something of either.
struct {
    base::atomic<int> number{0};
    base::atomic<handler> function{nullptr};
    base::atomic<int> flags{0};
    base::atomic<std::uint64_t> mask{0};  // as the kernel has it: the first word of a sigset_t
} noted;

void note(const struct sigaction& act) {
    std::uint64_t mask;
    std::memcpy(&mask, &act.sa_mask, sizeof mask);
    noted.mask.store(mask, std::memory_order_relaxed);
    noted.flags.store(act.sa_flags, std::memory_order_relaxed);
    // ORD(handler): release; pairs with the acquire in pass_to_program.
    noted.function.store(act.sa_sigaction, std::memory_order_release);
}

struct sigaction what_is_noted() {
    struct sigaction act {};
    act.sa_sigaction = noted.function.load(std::memory_order_relaxed);
    act.sa_flags = noted.flags.load(std::memory_order_relaxed);
    const std::uint64_t mask = noted.mask.load(std::memory_order_relaxed);
    std::memcpy(&act.sa_mask, &mask, sizeof mask);
    return act;
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
    if (number == noted.number.load(std::memory_order_relaxed)) {
        const struct sigaction before = what_is_noted();
        if (act != nullptr) note(*act);
        if (old != nullptr) *old = before;
        return 0;
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

void take_signal(int number, signal_handler ours) {
    if (noted.number.load(std::memory_order_relaxed) == number) return;  // in the child of a fork
    struct sigaction act {}, before {};
    ::__sigaction(number, nullptr, &before);
    show_as_asked(before, handlers[number].function.load(std::memory_order_relaxed),
                  handlers[number].flags.load(std::memory_order_relaxed));
    note(before);
    noted.number.store(number, std::memory_order_relaxed);
    act.sa_sigaction = ours;
    act.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
    ::sigemptyset(&act.sa_mask);
    // Past the program's sigaction, whose handlers have the limit word taken care of: ours does so.
    ::__sigaction(number, &act, nullptr);
}

void give_signal_back() {
    const int number = noted.number.exchange(0, std::memory_order_relaxed);
    if (number == 0) return;
    const struct sigaction act = what_is_noted();
    install(number, &act, nullptr);
}

// As the kernel would, but for SA_NODEFER: the signal itself stays blocked.
void pass_to_program(int number, siginfo_t* info, void* context) {
    PIRN_PLAIN();
    // ORD(handler): acquire; what the installer wrote before. Pairs with the release in note.
    const handler function = noted.function.load(std::memory_order_acquire);
    struct sigaction act = what_is_noted();
    act.sa_sigaction = function;
    if (!is_handler(act)) return;
    if ((act.sa_flags & static_cast<int>(SA_RESETHAND)) != 0)
        noted.function.store(nullptr, std::memory_order_relaxed);
    sigset_t before;
    ::pthread_sigmask(SIG_BLOCK, &act.sa_mask, &before);
    function(number, info, context);
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

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
