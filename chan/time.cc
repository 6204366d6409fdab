// SPDX-License-Identifier: MIT
// Timers on channels: a channel with room for one time, which its own timer sends.
//
// The channel's lock protects the timer's state, too: arming, disarming and the work of its
// function happen under it. So stop and reset leave nothing behind: they take the timer out of its
// heap and empty the buffer. Should its function have been called already, and wait for the lock,
// they count it as overtaken, and it does nothing when it gets the lock. It cannot be told from one
// of a later arming; whichever comes first counts as the overtaken one, which is right, as both are
// due then.
//
// The heap holds no reference: the last handle to go disarms the timer, waits for overtaken
// functions, and frees it. A function to be called (after_func) holds one from its arming until it
// has returned, or the run has ended, after which nothing will call it.
#include <pirn/time.h>

#include <limits>
#include <type_traits>
#include <utility>

#include <sched.h>

#include "chan/hchan.h"
#include "runtime/base/alloc.h"
#include "runtime/base/clock.h"
#include "runtime/park.h"
#include "runtime/timer.h"

namespace pirn::detail {
namespace {

using time_elem = elem<clock::time_point>;

// The one slot of the buffer stands where the channel looks for it.
struct one_slot_chan : hchan {
    one_slot_chan() : hchan(time_elem::ops, 1) {}
    alignas(clock::time_point) std::byte slot[sizeof(clock::time_point)];
};
static_assert(sizeof(one_slot_chan) == sizeof(hchan) + sizeof(clock::time_point));

struct timed_chan : one_slot_chan, rt::timer {
    timed_chan() { timed = true; }

    // Guarded by mu.
    bool armed = false;             // was started, and its function has not had the lock since
    bool kept = false;              // by the arming's reference
    std::uint32_t overtaken = 0;    // functions that are to do nothing
    std::int64_t period_ns = 0;     // of a ticker
    // Never changes; all null but for after_func's.
    timed_call call;
};
// destroy_channel destroys only the hchan.
static_assert(std::is_trivially_destructible_v<timed_chan>);

timed_chan* timed(hchan* c) noexcept { return static_cast<timed_chan*>(c); }

// The goroutine of a call whose time has come; it takes over the reference.
void spawn_call(timed_chan* c) {
    spawn_record* r = new_record(sizeof(hchan*), alignof(hchan*));
    ::new (r->closure) hchan*(c);
    r->invoke = c->call.start;
    r->created_at = c->call.created_at;
    spawn(r);
}

// The tick after that of when_ns, in the future: those that nobody had time for are left out.
std::int64_t next_tick(const timed_chan* c, std::int64_t now) {
    const std::int64_t late = now > c->when_ns ? now - c->when_ns : 0;
    return deadline_ns_after(c->when_ns + late / c->period_ns * c->period_ns, c->period_ns);
}

// The timer's function.
void fire(rt::timer* t) {
    auto* c = static_cast<timed_chan*>(t);
    c->mu.acquire();
    const bool at_end = std::exchange(c->at_end, false);
    if (c->overtaken > 0) {
        --c->overtaken;
        c->mu.release();
        return;
    }
    if (c->call.function != nullptr) {
        c->kept = false;
        // At the end of a run it is as armed as other timers are then.
        c->armed = at_end;
        if (at_end) c->heap.store(nullptr, std::memory_order_relaxed);
        c->mu.release();
        if (at_end)
            hchan_release(c);
        else
            spawn_call(c);
        return;
    }
    c->armed = false;
    const std::int64_t now = base::now_ns();
    clock::time_point value{std::chrono::nanoseconds(now)};
    const rt::who receiver = offer(c, &value);
    // Without handles it was there for its receivers, who are all served.
    const bool last = c->orphaned && c->recvq.records.empty();
    if (c->period_ns != 0 && !last) {
        rt::timer_start(c, next_tick(c, now));
        c->armed = true;
    }
    c->mu.release();
    if (receiver) rt::ready(receiver);
    if (last) destroy_channel(c);
}

// With the lock held, which may be let go meanwhile. True: something was to come, or to be
// received, that will not be now.
bool disarm(timed_chan* c) noexcept {
    bool active = false;
    while (c->armed) {
        const rt::cancelled found = rt::timer_cancel(c);
        if (found == rt::cancelled::run_ends) {
            c->mu.release();
            ::sched_yield();
            c->mu.acquire();
            continue;
        }
        if (found == rt::cancelled::firing) ++c->overtaken;
        c->armed = false;
        active = true;
    }
    return discard(c) || active;
}

// Throws, with the timer disarmed, where no runtime runs.
bool arm(timed_chan* c, std::int64_t d_ns, std::int64_t period_ns) {
    const rt::lock_guard hold(c->mu);
    const bool active = disarm(c);
    // The reference of the arming that was undone; never the last, as the caller has one.
    if (std::exchange(c->kept, false)) hchan_release(c);
    c->period_ns = period_ns;
    rt::timer_start(c, deadline_ns_after(base::now_ns(), d_ns));
    c->armed = true;
    if (c->call.function != nullptr) {
        hchan_retain(c);
        c->kept = true;
    }
    return active;
}

hchan* make(std::int64_t d_ns, std::int64_t period_ns, const timed_call& call = {}) {
    timed_ref made(base::make<timed_chan>());
    timed_chan* c = timed(made.get());
    c->fire = &fire;
    c->call = call;
    c->for_end = call.function != nullptr;
    try {
        arm(c, d_ns, period_ns);
    } catch (...) {
        c->call = {};   // the function stays the caller's
        throw;
    }
    hchan_retain(c);
    return c;
}

void check_period(std::int64_t period_ns, const char* what) {
    if (period_ns <= 0) throw panic(what);
}

}  // namespace

void end_timed(hchan* ended) noexcept {
    timed_chan* c = timed(ended);
    c->mu.acquire();
    disarm(c);
    while (c->overtaken > 0) {
        c->mu.release();
        ::sched_yield();
        c->mu.acquire();
    }
    c->mu.release();
    if (c->call.function != nullptr) c->call.destroy(c->call.function);
}

hchan* make_timer(std::int64_t d_ns) { return make(d_ns, 0); }

hchan* make_ticker(std::int64_t period_ns) {
    check_period(period_ns, "non-positive interval for NewTicker");
    return make(period_ns, period_ns);
}

hchan* make_timed_call(std::int64_t d_ns, const timed_call& call) { return make(d_ns, 0, call); }

void* timed_function(hchan* c) noexcept { return timed(c)->call.function; }

bool stop_timer(hchan* c) {
    if (c == nullptr) throw panic("time: Stop called on uninitialized Timer");
    timed_chan* t = timed(c);
    bool active = false, kept = false;
    {
        const rt::lock_guard hold(t->mu);
        active = disarm(t);
        kept = std::exchange(t->kept, false);
    }
    if (kept) hchan_release(t);
    return active;
}

bool reset_timer(hchan* c, std::int64_t d_ns) {
    if (c == nullptr) throw panic("time: Reset called on uninitialized Timer");
    return arm(timed(c), d_ns, 0);
}

void stop_ticker(hchan* c) {
    if (c != nullptr) stop_timer(c);
}

void reset_ticker(hchan* c, std::int64_t period_ns) {
    check_period(period_ns, "non-positive interval for Ticker.Reset");
    if (c == nullptr) throw panic("time: Reset called on uninitialized Ticker");
    arm(timed(c), period_ns, period_ns);
}

}  // namespace pirn::detail
