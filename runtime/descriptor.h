// SPDX-License-Identifier: MIT
// io::fd's descriptors: who waits for which direction, deadlines, and closing under way.
//
// A descriptor counts its uses: one for being open, one for each call in progress. close() gives
// up the first; whoever gives up the last closes the native descriptor, so that its number cannot
// be taken by another file while a call still uses it. Descriptors are reused but never freed, and
// a tag that changes with each reuse tells events of an earlier life.
//
// Each direction has at most one caller at a time (`busy`; others queue), which tries its system
// call and, at EAGAIN, parks until the poller says ready. `ready` is cleared before a try and set
// by an edge: an edge after the try is never lost.
//
// A TCP stream that gave less than was asked for is drained: the next read waits for an edge
// without trying, which saves a system call for each message. Not after a hangup or urgent data
// was seen: that edge comes once, and a read stops short before urgent data. Other files may stop
// short of what they have (a unix socket at a passed descriptor, a pipe at a packet).
//
// A context that ends a call is one more waker, which decides by the descriptor's lock (cancel.h).
//
// Threads that the runtime does not own wait by poll(2) in short slices, because their wait must
// end without a runtime too.
#pragma once

#include <cstdint>
#include <system_error>

#include <pirn/io.h>

#include "runtime/base/atomic.h"
#include "runtime/base/clock.h"
#include "runtime/lock.h"
#include "runtime/timer.h"
#include "runtime/waiter.h"

namespace pirn::rt {
struct cancel_source;
}

namespace pirn::io::detail {

enum class outcome : std::uintptr_t { ready, closed, timed_out, again, cancelled };

struct side;
class recall;

// A caller that waits, on its frame.
struct io_waiter : rt::waiter, rt::timer {
    descriptor* const d;
    side* const at;
    recall* end = nullptr;
    outcome result = outcome::ready;

    io_waiter(descriptor* on, side* direction) : d(on), at(direction) {}
};

struct side {
    // Guarded by descriptor::mu.
    bool busy = false;              // a call is in progress
    rt::waiter_queue turn;          // callers waiting for it to end
    io_waiter* parked = nullptr;    // the one in progress, waiting for the poller
    std::int64_t deadline_ns = base::k_never_ns;
    bool drained = false;           // the last try took less than it asked for
    bool hangup = false;            // the peer has closed: no further edge may come
    // Set by the poller, cleared before a try. Atomic for that.
    base::atomic<bool> ready{false};
};

struct descriptor {
    rt::lock mu{rt::lock_rank::fd};
    // Guarded by mu.
    int native = -1;
    std::uint32_t uses = 0;
    bool closing = false;
    bool held = false;         // an fd object refers to it
    bool tcp = false;
    bool socket = false;
    std::uint16_t tag = 0;
    side in, out;
    // Guarded by the lock of the free list.
    descriptor* next_free = nullptr;
};

// One call in one direction. The functions return what they did, or minus an errno value, or
// k_cancelled.
class call {
  public:
    call(descriptor* on, bool read, const cancellation& ctx) noexcept
        : d(*on), until(ctx.source()), s(read ? on->in : on->out), reading(read) {}

    // Counts a use, and waits for the direction's turn. 0: it has to be ended.
    int begin();
    void end();
    // Until the poller has seen an edge since the last try.
    int wait_ready();
    // op, repeated until it does not say EAGAIN.
    ssize_t try_until_ready(native_op op, void* arg);

    // A read that gave less than was asked for.
    void mark_drained();

    // For what is not a success.
    std::error_code error_of(ssize_t failed) const noexcept;

    bool is_socket() const noexcept { return d.socket; }
    bool is_tcp() const noexcept { return d.tcp; }

  private:
    static constexpr int k_cancelled = -(1 << 20);   // of no errno

    int begin_at_once();
    int wait_for_turn();
    int wait_on_thread();

    descriptor& d;
    rt::cancel_source* const until;
    side& s;
    const bool reading;
};

}  // namespace pirn::io::detail
