// SPDX-License-Identifier: MIT
// The deadlock report: every M sleeps, and nothing can wake one.
//
// Timers and parked readers or writers keep an M in the poller, which is not asleep. What is left
// is a thread of the process that the runtime does not own: it might send on a channel, so its
// existence defers the report, and the sleeper looks again from time to time (it may end).
// PIRN_DEBUG=deadlock=strict reports all the same. What start began is never reported: its host may
// call in at any time.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include <dirent.h>
#include <unistd.h>

#include "runtime/base/check.h"
#include "runtime/base/clock.h"
#include "runtime/base/sanitizer.h"
#include "runtime/netpoll.h"
#include "runtime/sched.h"
#include "runtime/settings.h"
#include "stack/map.h"

namespace pirn::rt {
namespace {

bool strict() { return debug_setting("deadlock") == "strict"; }

bool is_ours(sched* s, int tid) {
    lock_guard hold(s->mu);
    if (tid == s->sysmon_tid.load(std::memory_order_relaxed)) return true;
    for (m* mp = s->all_ms; mp != nullptr; mp = mp->next_all) {
        if (mp->tid == tid) return true;
    }
    return false;
}

// How long a thread has been there; 0 where that cannot be told.
std::int64_t age_ms(int tid) {
    char path[64], line[512];
    std::snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
    std::FILE* f = std::fopen(path, "re");
    if (f == nullptr) return 0;
    const char* got = std::fgets(line, sizeof line, f);
    std::fclose(f);
    // The name, in brackets, may hold anything; the 22nd field is the 20th behind it.
    const char* at = got == nullptr ? nullptr : std::strrchr(line, ')');
    for (int field = 2; at != nullptr && field < 22; ++field) at = std::strchr(at + 1, ' ');
    if (at == nullptr) return 0;
    timespec now{};
    ::clock_gettime(CLOCK_BOOTTIME, &now);
    const std::int64_t started_ticks = std::atoll(at);
    return now.tv_sec * 1000 + now.tv_nsec / 1'000'000 -
           started_ticks * 1000 / ::sysconf(_SC_CLK_TCK);
}

// A helper thread of a sanitizer or of a user-mode emulator: it blocks every signal that can be
// blocked. Asked for only where one of these is known to be at work. A thread that has just begun
// blocks them too, until it is set up, so a young one is given time.
bool is_tool(int tid) {
    constexpr std::int64_t k_young_ms = 500;
    if (!base::k_under_tsan && !stack::emulated()) return false;
    if (age_ms(tid) < k_young_ms) return false;
    char path[64], line[256];
    std::snprintf(path, sizeof path, "/proc/self/task/%d/status", tid);
    std::FILE* f = std::fopen(path, "re");
    if (f == nullptr) return true;  // it has ended
    unsigned long long blocked = 0;
    while (std::fgets(line, sizeof line, f) != nullptr) {
        if (std::sscanf(line, "SigBlk: %llx", &blocked) == 1) break;
    }
    std::fclose(f);
    // Hangup to terminate, but for SIGKILL, the synchronous faults and the library's own.
    constexpr unsigned long long k_ordinary = 1u << 0 | 1u << 1 | 1u << 2 | 1u << 9 | 1u << 11 |
                                              1u << 12 | 1u << 13 | 1u << 14;
    return (blocked & k_ordinary) == k_ordinary;
}

bool foreign_thread_exists(sched* s) {
    DIR* d = ::opendir("/proc/self/task");
    if (d == nullptr) return false;
    bool found = false;
    while (const dirent* e = ::readdir(d)) {
        const int tid = std::atoi(e->d_name);
        if (tid > 0 && !is_ours(s, tid) && !is_tool(tid)) found = true;
    }
    ::closedir(d);
    return found;
}

}  // namespace

bool looks_dead(sched* s) {
    if (s->embedded || s->m_idle != s->m_count || s->stopping.load(std::memory_order_relaxed))
        return false;
    if (s->poller.load(std::memory_order_relaxed) != nullptr || io_waiters() != 0) return false;
    if (s->global.any()) return false;
    for (auto& slot : s->ps) {
        // ORD(ps): acquire; pairs with the release in make_p.
        p* pp = slot.load(std::memory_order_acquire);
        if (pp == nullptr) break;
        if (!pp->queue.empty() ||
            pp->timers.first_ns.load(std::memory_order_relaxed) != base::k_never_ns)
            return false;
    }
    return true;
}

std::int64_t check_dead(sched* s) {
    constexpr std::int64_t k_first_look_ns = 10'000'000, k_last_look_ns = 1'000'000'000;
    if (!strict() && foreign_thread_exists(s)) {
        // Relaxed: a back-off.
        const std::int64_t wait = s->dead_look_ns.load(std::memory_order_relaxed);
        const std::int64_t next = std::clamp(2 * wait, k_first_look_ns, k_last_look_ns);
        s->dead_look_ns.store(next, std::memory_order_relaxed);
        return base::now_ns() + next;
    }
    {
        // A foreign thread may have sent and ended since.
        lock_guard hold(s->mu);
        if (!looks_dead(s)) return base::now_ns() + k_first_look_ns;
    }
    if (s->main_exited.load(std::memory_order_relaxed) && num_goroutine() == 0)
        base::fatal("no goroutines (main called goexit) - deadlock!");
    base::fatal("all goroutines are asleep - deadlock!");
}

}  // namespace pirn::rt
