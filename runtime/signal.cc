// SPDX-License-Identifier: MIT
// Handlers for faults, SIGPIPE and SIGQUIT.
#include "runtime/signal.h"

#include <csignal>

#include <pthread.h>
#include <unistd.h>

#include "runtime/base/check.h"
#include "runtime/dump.h"
#include "runtime/m.h"
#include "runtime/self.h"
#include "stack/map.h"
#include "stack/overflow.h"
#include "stack/segment.h"

namespace pirn::rt {
namespace {

// A report reads symbol tables and demangles names on this stack.
constexpr std::size_t k_signal_stack_bytes = 128 << 10;

struct saved_action {
    int number;
    bool installed;
    struct sigaction before;
};
saved_action actions[] = {{SIGSEGV, false, {}}, {SIGBUS, false, {}}, {SIGPIPE, false, {}}};

// Lets the signal do what it did before us: a fault comes again when the handler returns.
void pass_on(int number, siginfo_t* info, void* context) {
    for (saved_action& a : actions) {
        if (a.number != number) continue;
        if ((a.before.sa_flags & SA_SIGINFO) != 0 && a.before.sa_sigaction != nullptr) {
            a.before.sa_sigaction(number, info, context);
            return;
        }
        if (a.before.sa_handler == SIG_IGN && number == SIGPIPE) return;
        if (a.before.sa_handler != SIG_DFL && a.before.sa_handler != SIG_IGN) {
            a.before.sa_handler(number);
            return;
        }
    }
    std::signal(number, SIG_DFL);
    if (number == SIGPIPE) ::pthread_kill(::pthread_self(), number);
}

// The thread's own stack is full: that of the scheduler, and of callbacks that it makes.
[[noreturn]] void report_g0_overflow(const m* mp) {
    base::report("fatal error: stack overflow\n"
                 "the stack of thread pirn-m%d itself (g0), on which the scheduler runs, is full; "
                 "ulimit -s sets its size\n", mp->id);
    base::die();
}

void on_fault(int number, siginfo_t* info, void* context) {
    m* mp = self();
    const void* sp = arch::interrupted_sp(context);
    if (mp != nullptr && mp->cur() != nullptr) {
        const g& running = *mp->cur();
        const bool guarded = running.hops != nullptr || running.size_class != 0;
        if (guarded && stack::overflows(stack::lowest(running), info->si_addr, sp))
            stack::report_overflow(running);
    } else if (mp != nullptr && mp->stack_lo != nullptr &&
               stack::overflows(mp->stack_lo, info->si_addr, sp)) {
        report_g0_overflow(mp);
    }
    pass_on(number, info, context);
}

// A write to a broken pipe by io::fd fails with EPIPE and nothing else; anyone else's SIGPIPE does
// what it does without the library.
void on_sigpipe(int number, siginfo_t* info, void* context) {
    m* mp = self();
    if (mp != nullptr && mp->writing_fd) return;
    pass_on(number, info, context);
}

// All goroutines, and the end. The thread may have been interrupted anywhere, with a lock that the
// dump needs in its hands, and others run on: a dump that is stuck, or that follows a stack which
// is no more as it was, ends the process too, after what it has said.
void on_quit(int, siginfo_t*, void*) {
    constexpr unsigned k_longest_s = 10;
    struct sigaction end_now {};
    end_now.sa_handler = [](int) { ::_exit(2); };
    sigset_t heard;
    ::sigemptyset(&heard);
    for (const int number : {SIGSEGV, SIGBUS, SIGALRM}) {
        ::sigaction(number, &end_now, nullptr);
        ::sigaddset(&heard, number);
    }
    ::pthread_sigmask(SIG_UNBLOCK, &heard, nullptr);
    ::alarm(k_longest_s);
    base::report("SIGQUIT: quit\n");
    dump_all(STDERR_FILENO);
    base::die();
}

struct sigaction quit_before {};
bool quit_installed = false;

// Only in place of the default: a program that has a handler of its own, or ignores it, knows why.
void install_quit_handler() {
    if (::sigaction(SIGQUIT, nullptr, &quit_before) != 0 || quit_before.sa_handler != SIG_DFL)
        return;
    struct sigaction act {};
    act.sa_sigaction = on_quit;
    act.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
    ::sigemptyset(&act.sa_mask);
    quit_installed = ::sigaction(SIGQUIT, &act, nullptr) == 0;
}

// Unless the program has installed its own meanwhile.
void restore_quit_handler() {
    struct sigaction now {};
    if (quit_installed && ::sigaction(SIGQUIT, nullptr, &now) == 0 && now.sa_sigaction == on_quit)
        ::sigaction(SIGQUIT, &quit_before, nullptr);
    quit_installed = false;
}

void describe_overflow(const stack::block& b) {
    const auto& gp = static_cast<const g&>(b);
    char entry[512];
    describe_entry(&gp, entry, sizeof entry);
    base::report("goroutine %lu%s%.*s%s [running], entry function %s\n",
                 static_cast<unsigned long>(gp.id), gp.name_bytes != 0 ? " \"" : "",
                 static_cast<int>(gp.name_bytes), gp.name != nullptr ? gp.name : "",
                 gp.name_bytes != 0 ? "\"" : "", entry);
}

}  // namespace

void install_signal_handlers() {
    stack::set_overflow_hook(describe_overflow);
    for (saved_action& a : actions) {
        if (a.installed) continue;  // in the child of a fork
        struct sigaction act {};
        act.sa_sigaction = a.number == SIGPIPE ? on_sigpipe : on_fault;
        act.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
        if (a.number != SIGPIPE) act.sa_flags |= SA_NODEFER;
        ::sigemptyset(&act.sa_mask);
        a.installed = ::sigaction(a.number, &act, &a.before) == 0;
    }
    install_quit_handler();
}

void restore_signal_handlers() {
    restore_quit_handler();
    for (saved_action& a : actions) {
        if (a.installed) ::sigaction(a.number, &a.before, nullptr);
        a.installed = false;
    }
}

void refuse_in_handler(const m* mp, const char* what) {
    const auto sp = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
    const auto lowest = reinterpret_cast<std::uintptr_t>(mp->signal_stack);
    if (sp - lowest >= k_signal_stack_bytes) return;
    base::report("fatal error: %s in a signal handler\n"
                 "it may have interrupted the scheduler: let it write to an eventfd or a pipe that "
                 "a goroutine reads\n", what);
    base::die();
}

void open_signal_stack(m* mp) {
    if (mp->signal_stack == nullptr) mp->signal_stack = stack::map_region(k_signal_stack_bytes);
    PIRN_CHECK(mp->signal_stack != nullptr);
    stack_t st{};
    st.ss_sp = mp->signal_stack;
    st.ss_size = k_signal_stack_bytes;
    PIRN_CHECK(::sigaltstack(&st, &mp->signal_stack_before) == 0);
}

void close_signal_stack(m* mp) {
    if ((mp->signal_stack_before.ss_flags & SS_DISABLE) != 0) {
        stack_t off{};
        off.ss_flags = SS_DISABLE;
        ::sigaltstack(&off, nullptr);
    } else {
        ::sigaltstack(&mp->signal_stack_before, nullptr);
    }
}

void free_signal_stack(m* mp) {
    if (mp->signal_stack == nullptr) return;
    stack::unmap_region(static_cast<std::byte*>(mp->signal_stack), k_signal_stack_bytes);
    mp->signal_stack = nullptr;
}

}  // namespace pirn::rt
