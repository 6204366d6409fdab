// SPDX-License-Identifier: MIT
// The scheduler trace, in the form of Go's GODEBUG=schedtrace, so that what reads the one reads the
// other. Names are Go's; what has no counterpart here (its garbage collector's) is left out.
//
// The program runs on meanwhile: figures are of slightly different moments, and a goroutine that
// ends while its line is printed may show what it was before.
#include "runtime/trace.h"

#include <charconv>
#include <cstdarg>
#include <cstdio>
#include <string_view>
#include <vector>

#include "runtime/base/check.h"
#include "runtime/base/clock.h"
#include "runtime/sched.h"
#include "runtime/settings.h"
#include "stack/pool.h"

namespace pirn::rt {
namespace {

// Lines are written whole where they fit, and one after another where many goroutines make many.
class text {
  public:
    ~text() { flush(); }
    [[gnu::format(printf, 2, 3)]] void add(const char* format, ...) {
        constexpr std::size_t k_longest = 256;
        if (used_ + k_longest > sizeof buffer_) flush();
        std::va_list args;
        va_start(args, format);
        const int n = std::vsnprintf(buffer_ + used_, k_longest, format, args);
        va_end(args);
        used_ += static_cast<std::size_t>(n) < k_longest ? static_cast<std::size_t>(n)
                                                         : k_longest - 1;
    }

  private:
    void flush() {
        base::report("%.*s", static_cast<int>(used_), buffer_);
        used_ = 0;
    }
    char buffer_[960];
    std::size_t used_ = 0;
};

// Go's numbers.
unsigned status_number(g_status status) {
    switch (status) {
        case g_status::idle: return 0;
        case g_status::runnable: return 1;
        case g_status::running: return 2;
        case g_status::syscall: return 3;
        case g_status::growing: return 8;
        case g_status::preempted: return 9;
        case g_status::waiting: return 4;
        case g_status::dead: return 6;
    }
    return 0;
}

// "nil" or a number.
struct id_or_nil {
    char digits[24] = "nil";
    explicit id_or_nil(bool there, std::int64_t id) {
        if (there) *std::to_chars(digits, digits + sizeof digits - 1, id).ptr = '\0';
    }
};

template <class F>
void for_each_p(sched* s, F f) {
    const std::uint32_t procs = s->procs.load(std::memory_order_relaxed);
    for (std::uint32_t id = 0; id < procs; ++id) {
        // ORD(ps): acquire; pairs with the release in make_p.
        if (p* pp = s->ps[id].load(std::memory_order_acquire)) f(pp);
    }
}

std::uint32_t timers_of(p* pp) {
    lock_guard hold(pp->timers.mu);
    return pp->timers.size;
}

void add_p(text& out, sched* s, p* pp) {
    const std::uint32_t timers = timers_of(pp);
    lock_guard hold(s->mu);
    const m* runner = pp->runner;
    const id_or_nil m_id(runner != nullptr, runner != nullptr ? runner->id : 0);
    out.add("  P%u: status=%u schedtick=%llu m=%s runqsize=%u timerslen=%u\n", pp->id,
            static_cast<unsigned>(pp->status), static_cast<unsigned long long>(pp->switches.get()),
            m_id.digits, pp->queue.size(), timers);
}

// An M as its line shows it.
struct m_line {
    int id;
    id_or_nil p_id;
    const g* running;
    const g* locked;           // by lock_os_thread
    std::uint64_t g_id = 0;    // 0: none
    std::uint64_t locked_id = 0;
};

std::vector<m_line> collect_ms(sched* s) {
    std::vector<m_line> lines;
    constexpr std::size_t k_room = 16;  // for those that come meanwhile
    for (std::size_t room = 0;;) {
        lines.reserve(room + k_room);  // not under the lock
        lock_guard hold(s->mu);
        room = static_cast<std::size_t>(s->m_count);
        if (room > lines.capacity()) continue;
        for (const m* mp = s->all_ms; mp != nullptr; mp = mp->next_all) {
            const p* found = nullptr;
            for_each_p(s, [&](const p* pp) {
                if (pp->runner == mp) found = pp;
            });
            lines.push_back({mp->id, id_or_nil(found != nullptr, found != nullptr ? found->id : 0),
                             mp->cur(), mp->bound_g});
        }
        return lines;
    }
}

struct goroutines {
    text* out;
    std::vector<m_line>* ms;
};

m_line* m_with(const goroutines& a, const g* m_line::*which, const g* gp) {
    for (m_line& line : *a.ms) {
        if (line.*which == gp) return &line;
    }
    return nullptr;
}

id_or_nil m_id_of(const m_line* line) {
    return id_or_nil(line != nullptr, line != nullptr ? line->id : 0);
}

// An M's goroutine is looked at only here, where its block cannot be unmapped.
void find_id(stack::block* b, void* arg) {
    const auto* a = static_cast<const goroutines*>(arg);
    const g* gp = static_cast<const g*>(b);
    if (m_line* line = m_with(*a, &m_line::running, gp)) line->g_id = gp->id;
    if (m_line* line = m_with(*a, &m_line::locked, gp)) line->locked_id = gp->id;
}

void add_g(stack::block* b, void* arg) {
    const auto* a = static_cast<const goroutines*>(arg);
    const g* gp = static_cast<const g*>(b);
    if (gp->in_use == 0) return;
    const g_status status = gp->status.load(std::memory_order_relaxed);
    if (status == g_status::idle || status == g_status::dead) return;
    const bool on_m = status == g_status::running || status == g_status::syscall;
    const id_or_nil m_id = m_id_of(on_m ? m_with(*a, &m_line::running, gp) : nullptr);
    const id_or_nil locked_id = m_id_of(m_with(*a, &m_line::locked, gp));
    a->out->add("  G%llu: status=%u(%s) m=%s lockedm=%s\n",
                static_cast<unsigned long long>(gp->id), status_number(status),
                status == g_status::waiting ? wait_reason_name(gp->reason) : "", m_id.digits,
                locked_id.digits);
}

void print(sched* s, std::int64_t since_ns, bool detailed) {
    text out;
    int threads, idle_threads;
    {
        lock_guard hold(s->mu);
        threads = s->m_count;
        idle_threads = s->m_idle;
    }
    out.add("SCHED %lldms: gomaxprocs=%u idleprocs=%u threads=%d spinningthreads=%u "
            "needspinning=0 idlethreads=%d runqueue=%u",
            static_cast<long long>(since_ns / 1'000'000), s->procs.load(std::memory_order_relaxed),
            s->idle_p_count.load(std::memory_order_relaxed), threads,
            s->spinning.load(std::memory_order_relaxed), idle_threads,
            s->global.size());
    if (!detailed) {
        const char* before = " [";
        for_each_p(s, [&](const p* pp) {
            out.add("%s%u", before, pp->queue.size());
            before = " ";
        });
        out.add("]\n");
        return;
    }
    out.add("\n");
    for_each_p(s, [&](p* pp) { add_p(out, s, pp); });
    std::vector<m_line> ms = collect_ms(s);
    goroutines arg{&out, &ms};
    stack::for_each_block(find_id, &arg);
    for (const m_line& line : ms) {
        const id_or_nil g_id(line.g_id != 0, static_cast<std::int64_t>(line.g_id));
        const id_or_nil locked_id(line.locked_id != 0, static_cast<std::int64_t>(line.locked_id));
        out.add("  M%d: p=%s curg=%s lockedg=%s\n", line.id, line.p_id.digits, g_id.digits,
                locked_id.digits);
    }
    stack::for_each_block(add_g, &arg);
}

std::int64_t number(std::string_view setting) {
    std::int64_t n = 0;
    std::from_chars(setting.data(), setting.data() + setting.size(), n);
    return n;
}

}  // namespace

std::int64_t trace_sched(sched* s, std::int64_t now_ns) {
    trace_state& t = s->trace;
    if (t.started_ns == 0) {
        t.started_ns = now_ns;
        t.every_ns = number(debug_setting("schedtrace")) * 1'000'000;
        t.detailed = number(debug_setting("scheddetail")) > 0;
        t.due_ns = now_ns + t.every_ns;
    }
    if (t.every_ns <= 0) return base::k_never_ns;
    if (now_ns >= t.due_ns) {
        print(s, now_ns - t.started_ns, t.detailed);
        t.due_ns = now_ns + t.every_ns;
    }
    return t.due_ns;
}

}  // namespace pirn::rt
