// SPDX-License-Identifier: MIT
// Dumps of goroutines.
#include "runtime/dump.h"

#include <cstdarg>
#include <cstdio>
#include <cstring>

#include <unistd.h>
#include <unwind.h>

#include <pirn/debug.h>

#include "runtime/base/clock.h"
#include "runtime/report.h"
#include "runtime/scan.h"
#include "runtime/sched.h"
#include "runtime/self.h"
#include "runtime/symbol.h"
#include "stack/map.h"
#include "stack/pool.h"
#include "stack/segment.h"

namespace pirn::rt {
namespace {

constexpr std::size_t k_name_bytes = 512;

[[gnu::format(printf, 2, 3)]] void print(int fd, const char* format, ...) {
    char line[1024];
    std::va_list args;
    va_start(args, format);
    int n = std::vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (n > static_cast<int>(sizeof line) - 1) n = static_cast<int>(sizeof line) - 1;
    for (int done = 0; done < n;) {
        const ssize_t w = ::write(fd, line + done, static_cast<std::size_t>(n - done));
        if (w <= 0) return;
        done += static_cast<int>(w);
    }
}

void print_frame(int fd, const void* pc) {
    char name[k_name_bytes];
    describe_address(pc, name, sizeof name);
    print(fd, "    %p %s\n", pc, name);
}

constexpr int k_frames_max = 100;

struct walk {
    explicit walk(int skipped) : skip(skipped) {}
    int skip;
    int count = 0;
    const void* frames[k_frames_max];
};

_Unwind_Reason_Code visit_frame(_Unwind_Context* context, void* arg) {
    auto* w = static_cast<walk*>(arg);
    const auto pc = _Unwind_GetIP(context);
    if (pc == 0 || w->count == k_frames_max) return _URC_END_OF_STACK;
    if (w->skip-- > 0) return _URC_NO_REASON;
    // A return address belongs to the call before it.
    w->frames[w->count++] = reinterpret_cast<const void*>(pc - 1);
    return _URC_NO_REASON;
}

void print_frames(int fd, const walk& w) {
    for (int i = 0; i < w.count; ++i) print_frame(fd, w.frames[i]);
}

// The frames of a goroutine that does not run.
void walk_parked(const g* gp, walk& w) {
    const arch::resume_point at = arch::resume_point_of(gp->ctx);
    // The first frame seen is the walker itself, the next the parked switch.
    arch::call_as_if_at(&at, [](void* arg) -> void* {
        _Unwind_Backtrace(visit_frame, arg);
        return nullptr;
    }, &w);
}

struct dump_arg {
    int fd;
    const g* skip;
    scan* scanning;
};

// The state, with the time that it has waited: in seconds, then in minutes as Go has it.
void print_header_with_state(int fd, const g* gp, g_status status, const char* state) {
    char with_time[128];
    const std::int64_t seconds = (base::now_ns() - gp->waiting_since_ns) / 1'000'000'000;
    if (status == g_status::waiting && seconds > 0) {
        const bool minutes = seconds >= 60;
        std::snprintf(with_time, sizeof with_time, "%s, %ld %s", state,
                      static_cast<long>(minutes ? seconds / 60 : seconds),
                      minutes ? "minutes" : "seconds");
        state = with_time;
    }
    print_goroutine_header(fd, gp, state);
}

void dump_block(stack::block* b, void* arg) {
    const auto* a = static_cast<const dump_arg*>(arg);
    const g* gp = static_cast<const g*>(b);
    if (gp == a->skip || gp->in_use == 0) return;
    const bool claimed = a->scanning->claim(gp);
    const g_status status = gp->status.load(std::memory_order_relaxed);
    const char* state = nullptr;
    switch (status) {
        case g_status::waiting: state = wait_reason_name(gp->reason); break;
        case g_status::runnable: state = "runnable"; break;
        case g_status::growing:
        case g_status::running: state = "running"; break;
        case g_status::syscall: state = "syscall"; break;
        case g_status::preempted: state = "preempted"; break;
        case g_status::idle:
        case g_status::dead: return;
    }
    walk w(1);
    if (claimed) walk_parked(gp, w);
    // Before anything is written: the one that reads it may be this goroutine.
    a->scanning->release();
    print(a->fd, "\n");
    print_header_with_state(a->fd, gp, status, state);
    if (claimed)
        print_frames(a->fd, w);
    else
        print(a->fd, "    %sframes cannot be had\n",
              status == g_status::waiting || status == g_status::runnable
                  ? ""
                  : "running on another thread: ");
    print_created_by(a->fd, gp);
}

}  // namespace

const char* wait_reason_name(wait_reason reason) {
    switch (reason) {
        case wait_reason::none: return "waiting";
        case wait_reason::chan_receive: return "chan receive";
        case wait_reason::chan_receive_nil: return "chan receive (nil chan)";
        case wait_reason::chan_send: return "chan send";
        case wait_reason::chan_send_nil: return "chan send (nil chan)";
        case wait_reason::select: return "select";
        case wait_reason::select_no_cases: return "select (no cases)";
        case wait_reason::sleep: return "sleep";
        case wait_reason::mutex_lock: return "sync.Mutex.Lock";
        case wait_reason::rw_mutex_lock: return "sync.RWMutex.Lock";
        case wait_reason::cond_wait: return "sync.Cond.Wait";
        case wait_reason::wait_group_wait: return "sync.WaitGroup.Wait";
        case wait_reason::semaphore: return "semacquire";
        case wait_reason::io_wait: return "IO wait";
        case wait_reason::forever: return "forever";
    }
    return "waiting";
}

void describe_entry(const g* gp, char* out, std::size_t size) {
    if (gp->is_main)
        std::snprintf(out, size, "the main function");
    else
        describe_address(gp->entry, out, size);
}

void print_goroutine_header(int fd, const g* gp, const char* state) {
    if (gp->name_bytes != 0) {
        print(fd, "goroutine %lu \"%.*s\" [%s]:\n", static_cast<unsigned long>(gp->id),
              static_cast<int>(gp->name_bytes), gp->name, state);
        return;
    }
    print(fd, "goroutine %lu [%s]:\n", static_cast<unsigned long>(gp->id), state);
}

void print_created_by(int fd, const g* gp) {
    char name[k_name_bytes];
    if (gp->is_main) return;
    describe_address(static_cast<const char*>(gp->created_at) - 1, name, sizeof name);
    if (gp->created_by != 0)
        print(fd, "created by %s in goroutine %lu\n", name,
              static_cast<unsigned long>(gp->created_by));
    else
        print(fd, "created by %s outside the runtime\n", name);
}

[[gnu::noinline]] void print_own_frames(int fd, int skip) {
    walk w(skip + 1);
    _Unwind_Backtrace(visit_frame, &w);
    print_frames(fd, w);
}

void dump_all(int fd) {
    m* mp = self();
    const g* own = mp != nullptr ? mp->cur() : nullptr;
    if (own != nullptr) {
        print(fd, "\n");
        print_goroutine_header(fd, own, "running");
        print_own_frames(fd, 1);
        print_created_by(fd, own);
    } else {
        print(fd, "\nthread %d, %s:\n", static_cast<int>(::gettid()),
              mp != nullptr ? "in the scheduler" : "not the runtime's");
        print_own_frames(fd, 1);
    }
    scan scanning;
    dump_arg a{fd, own, &scanning};
    stack::for_each_block(dump_block, &a);
}

[[gnu::noinline]] void print_caller(int fd, int skip) {
    m* mp = self();
    const g* own = mp != nullptr ? mp->cur() : nullptr;
    if (own != nullptr) print_goroutine_header(fd, own, "running");
    print_own_frames(fd, skip + 1);
    if (own != nullptr) print_created_by(fd, own);
}

}  // namespace pirn::rt

namespace pirn {

using namespace rt;

std::uint64_t goroutine_id() {
    m* mp = self();
    return mp != nullptr && mp->cur() != nullptr ? mp->cur()->id : 0;
}

void dump_goroutines(int fd) { dump_all(fd); }

stats runtime_stats() {
    stats r;
    r.stacks_max = stack::blocks_max();
    const stack::pool_stats pool = stack::stats();
    r.stacks = pool.blocks;
    const stack::segment_stats segments = stack::stats_of_segments();
    r.segments = segments.segments;
    r.stack_bytes = pool.mapped_bytes + segments.mapped_bytes;
    m* mp = self();
    sched_ref run;
    sched* s = mp != nullptr ? mp->owner : run.get();
    if (s == nullptr) return r;
    r.spawns = s->foreign_spawned.load(std::memory_order_relaxed);
    for (auto& slot : s->ps) {
        // ORD(ps): acquire; pairs with the release in make_p.
        p* pp = slot.load(std::memory_order_acquire);
        if (pp == nullptr) break;
        proc_stats& one = r.per_proc.emplace_back();
        r.spawns += one.spawns = pp->spawned.get();
        r.switches += one.switches = pp->switches.get();
        r.parks += one.parks = pp->parks.get();
        r.steals += one.steals = pp->steals.get();
        r.timers_fired += one.timers_fired = pp->fired.get();
        one.queued = pp->queue.size();
    }
    r.wakeups = s->wakeups.load(std::memory_order_relaxed);
    r.polls = s->polls.load(std::memory_order_relaxed);
    r.procs = static_cast<int>(s->procs.load(std::memory_order_relaxed));
    lock_guard hold(s->mu);
    r.threads = s->m_count;
    for (const m* other = s->all_ms; other != nullptr; other = other->next_all)
        r.hops += stack::hops_of(*other);
    return r;
}

}  // namespace pirn
