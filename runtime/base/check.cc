// SPDX-License-Identifier: MIT
// The fatal report: one message, one dump, status 2.
#include "runtime/base/check.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <unistd.h>

#include "runtime/base/atomic.h"

namespace pirn::base {
namespace {

atomic<void (*)()> fatal_hook{nullptr};
atomic<bool> dying{false};

void write_all(const char* text, std::size_t n) {
    while (n > 0) {
        const ssize_t done = ::write(STDERR_FILENO, text, n);
        if (done <= 0) return;
        text += done;
        n -= static_cast<std::size_t>(done);
    }
}

void vreport(const char* prefix, const char* format, std::va_list args, const char* suffix) {
    char line[1024];
    int n = std::snprintf(line, sizeof line, "%s", prefix);
    n += std::vsnprintf(line + n, sizeof line - static_cast<std::size_t>(n), format, args);
    if (n > static_cast<int>(sizeof line) - 2) n = static_cast<int>(sizeof line) - 2;
    n += std::snprintf(line + n, sizeof line - static_cast<std::size_t>(n), "%s", suffix);
    write_all(line, static_cast<std::size_t>(n));
}

[[noreturn]] void end_fatal() {
    // ORD(fatal-hook): acquire; pairs with the release in set_fatal_hook.
    if (auto* hook = fatal_hook.load(std::memory_order_acquire)) hook();
    die();
}

// The first thread to fail reports; one that fails meanwhile (also inside the report) waits for
// the process to end, or ends it when it is the reporter itself.
void enter_fatal() {
    static atomic<int> owner{0};
    const int me = static_cast<int>(::gettid());
    // Relaxed: the flag elects one reporter and publishes nothing.
    if (!dying.exchange(true, std::memory_order_relaxed)) {
        owner.store(me, std::memory_order_relaxed);
        return;
    }
    if (owner.load(std::memory_order_relaxed) == me) ::_exit(2);
    for (;;) ::sleep(1);
}

}  // namespace

void fatal(const char* message) { fatalf("%s", message); }

void fatalf(const char* format, ...) {
    enter_fatal();
    std::va_list args;
    va_start(args, format);
    vreport("fatal error: ", format, args, "\n");
    va_end(args);
    end_fatal();
}

void die() {
    const char* mode = std::getenv("PIRN_TRACEBACK");
    if (mode != nullptr && std::strcmp(mode, "crash") == 0) std::abort();
    ::_exit(2);
}

void report(const char* format, ...) {
    std::va_list args;
    va_start(args, format);
    vreport("", format, args, "");
    va_end(args);
}

void set_fatal_hook(void (*hook)()) {
    // ORD(fatal-hook): release; pairs with the acquire in end_fatal.
    fatal_hook.store(hook, std::memory_order_release);
}

void check_failed(const char* condition, const char* file, int line) {
    fatalf("runtime: check failed: %s (%s:%d)", condition, file, line);
}

}  // namespace pirn::base
