// SPDX-License-Identifier: MIT
// Channel operations that can be cancelled: a select between one channel and a source.
//
//   1. Done already: that is the answer.
//   2. Tries the channel as try_send and try_recv do.
//   3. Locks the source, then the channel, and looks again at both. If there is anything: begins
//      anew.
//   4. Links a record with each and parks; see runtime/cancel.h for how it is decided who wakes it,
//      and why the frame stands long enough. The channel is held meanwhile, as by a select.
#include <pirn/runtime.h>

#include "chan/hchan.h"
#include "runtime/cancel.h"
#include "runtime/park.h"

namespace pirn::detail {
namespace {

// A caller who waits on a channel, or on none.
template <wait_queue hchan::*Queue>
struct until_waiter : rt::waiter {
    rt::cancel_waiter cancel;
    rt::cancel_source* source = nullptr;
    hchan* c = nullptr;

    void leave_channel() noexcept {
        if (c == nullptr) return;
        c->mu.acquire();
        unlink(c, c->*Queue, this);
        c->mu.release();
    }
    // Its run ends: see waiter.h.
    static bool drop_record(rt::waiter* w) noexcept {
        auto* self = static_cast<until_waiter*>(w);
        self->leave_channel();
        self->cancel.leave();
        hchan_release(self->c);
        return true;
    }
    // The frame may be gone once both can wake it.
    static void unlock(void* arg) noexcept {
        auto* self = static_cast<until_waiter*>(arg);
        rt::cancel_source* source = self->source;
        if (self->c != nullptr) self->c->mu.release();
        source->mu.release();
    }
};

enum class outcome : std::uint8_t { success, closed, cancelled };

// Step 4, with both locks held.
template <wait_queue hchan::*Queue>
outcome park_until(hchan* c, void* value, rt::cancel_source* source, rt::wait_reason reason) {
    until_waiter<Queue> w;
    {
        rt::parker self;
        w.cancel.owner = w.owner = self.name();
        w.source = source;
        w.elem = value;
        w.is_select = true;
        w.fired = &w.cancel.fired;
        w.drop = &until_waiter<Queue>::drop_record;
        w.cancel.join(source);
        if (c != nullptr) {
            w.c = c;
            hchan_retain(c);
            enqueue(c, c->*Queue, &w);
        }
        self.park(&until_waiter<Queue>::unlock, &w, reason, &w);
    }
    const bool cancelled = w.cancel.was_cancelled();
    if (cancelled)
        w.leave_channel();
    else
        w.cancel.leave();
    hchan_release(c);
    return cancelled ? outcome::cancelled : w.success ? outcome::success : outcome::closed;
}

// Steps 1 to 4. `attempt` does the operation if it can be done at once, and says so; `blocks` looks
// whether it can be.
template <wait_queue hchan::*Queue, class Attempt, class Blocks>
outcome wait_until(hchan* c, void* value, rt::cancel_source* source, rt::wait_reason reason,
                   Attempt attempt, Blocks blocks) {
    for (;;) {
        if (source->is_done()) return outcome::cancelled;
        if (c != nullptr) {
            outcome now = outcome::cancelled;
            if (attempt(now)) return now;
        }
        source->mu.acquire();
        if (source->is_done()) {
            source->mu.release();
            return outcome::cancelled;
        }
        if (c != nullptr) {
            c->mu.acquire();
            if (!blocks()) {
                c->mu.release();
                source->mu.release();
                continue;
            }
        }
        return park_until<Queue>(c, value, source, reason);
    }
}

}  // namespace

bool hchan_send(hchan* c, void* value, const cancellation& until, std::error_code& why) {
    rt::cancel_source* source = until.source();
    if (source == nullptr) {
        hchan_send(c, value);
        return true;
    }
    const outcome end = wait_until<&hchan::sendq>(
        c, value, source,
        c != nullptr ? rt::wait_reason::chan_send : rt::wait_reason::chan_send_nil,
        [&](outcome& now) {
            now = outcome::success;
            return hchan_try_send(c, value);
        },
        [&] { return hchan_send_blocks(c); });
    if (end == outcome::closed) throw panic("send on closed channel");
    if (end == outcome::cancelled) why = rt::cancel_reason(source);
    return end == outcome::success;
}

recv_status hchan_recv(hchan* c, void* storage, const cancellation& until, std::error_code& why) {
    rt::cancel_source* source = until.source();
    if (source == nullptr) return hchan_recv(c, storage) ? recv_status::ok : recv_status::closed;
    const outcome end = wait_until<&hchan::recvq>(
        c, storage, source,
        c != nullptr ? rt::wait_reason::chan_receive : rt::wait_reason::chan_receive_nil,
        [&](outcome& now) {
            const recv_status status = hchan_try_recv(c, storage);
            now = status == recv_status::ok ? outcome::success : outcome::closed;
            return status != recv_status::empty;
        },
        [&] { return hchan_recv_blocks(c); });
    if (end == outcome::cancelled) {
        why = rt::cancel_reason(source);
        return recv_status::empty;
    }
    return end == outcome::success ? recv_status::ok : recv_status::closed;
}

}  // namespace pirn::detail
