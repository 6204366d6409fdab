// SPDX-License-Identifier: MIT
// io::fd's calls: taking turns, waiting for the poller, and what ends a wait.
#include <algorithm>
#include <cerrno>
#include <climits>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/base/alloc.h"
#include "runtime/base/check.h"
#include "runtime/cancel.h"
#include "runtime/descriptor.h"
#include "runtime/fork.h"
#include "runtime/netpoll.h"
#include "runtime/sched.h"
#include "runtime/self.h"
#include "runtime/status.h"

namespace pirn::io::detail {

using namespace rt;

namespace {

constinit lock free_mu{lock_rank::leaf};
constinit descriptor* free_list = nullptr;  // guarded by free_mu
base::atomic<std::uint32_t> parked_count{0};

std::error_code errno_code(int e) { return {e, std::generic_category()}; }

descriptor* take_descriptor() {
    {
        lock_guard hold(free_mu);
        if (descriptor* d = free_list) {
            free_list = d->next_free;
            return d;
        }
    }
    return base::make<descriptor>();
}

// For the next one to be opened.
void recycle(descriptor* d) {
    const lock_guard hold(free_mu);
    d->next_free = free_list;
    free_list = d;
}

// Gives up a use; mu is held and let go. Closes and recycles when it was the last.
void end_use(descriptor* d) {
    PIRN_CHECK(d->uses > 0);
    const bool last = --d->uses == 0;
    const int native = d->native;
    if (last) d->native = -1;
    const bool unused = last && !d->held;
    d->mu.release();
    if (last) {
        const int saved = errno;
        ::close(native);
        errno = saved;
    }
    if (unused) recycle(d);
}

// Takes the parked caller off, to be readied after the unlock. mu is held.
io_waiter* take_parked(side& s, outcome why) {
    io_waiter* w = s.parked;
    if (w == nullptr) return nullptr;
    s.parked = nullptr;
    w->result = why;
    return w;
}

void unlock_descriptor(void* d) { static_cast<descriptor*>(d)->mu.release(); }

// The direction's turn passes to the next caller in line, or becomes free. mu is held; the one
// returned is to be readied after the unlock.
waiter* pass_turn(side& s) {
    waiter* next = s.turn.pop_front();
    if (next == nullptr) s.busy = false;
    return next;
}

}  // namespace

// The end of a waiter's wait by its context, if it has one.
class recall : cancel_waiter {
  public:
    recall(io_waiter* waiting, cancel_source* until) : w(waiting) {
        if (until == nullptr) return;
        w->end = this;
        w->is_select = true;   // so that it is dropped also if it was woken but did not go on
        claim = &take_off;
        if (!join_unless_done(until)) came = true;
    }
    ~recall() { leave(); }
    using cancel_waiter::leave;

    bool came = false;   // guarded by the descriptor's lock once it has joined

  private:
    static who take_off(cancel_waiter* c) noexcept {
        auto* self = static_cast<recall*>(c);
        io_waiter* w = self->w;
        const lock_guard hold(w->d->mu);
        self->came = true;
        if (w->at->parked == w)
            w->at->parked = nullptr;
        else if (w->linked())
            w->at->turn.remove(w);
        else
            return {};   // it does not wait yet, or another was first
        w->result = outcome::cancelled;
        return w->owner;
    }

    io_waiter* w;
};

namespace {

bool drop_turn(waiter* w) noexcept {
    auto* iw = static_cast<io_waiter*>(w);
    descriptor* d = iw->d;
    d->mu.acquire();
    const bool was_linked = iw->linked();
    if (was_linked) {
        iw->at->turn.remove(iw);
        end_use(d);
    } else {
        d->mu.release();
    }
    if (iw->end != nullptr) iw->end->leave();
    return was_linked;
}

bool drop_parked(waiter* w) noexcept {
    auto* iw = static_cast<io_waiter*>(w);
    descriptor* d = iw->d;
    d->mu.acquire();
    const bool was_parked = iw->at->parked == iw;
    if (was_parked) {
        iw->at->parked = nullptr;
        parked_count.fetch_sub(1, std::memory_order_relaxed);
        // Goroutines in line are dropped like this one; the turn ends here.
        iw->at->busy = false;
        end_use(d);
    } else {
        d->mu.release();
    }
    if (iw->end != nullptr) iw->end->leave();
    return was_parked;
}

void deadline_passed(timer* t) {
    auto* w = static_cast<io_waiter*>(t);
    descriptor* d = w->d;
    d->mu.acquire();
    io_waiter* woken = w->at->parked == w ? take_parked(*w->at, outcome::timed_out) : nullptr;
    d->mu.release();
    if (woken != nullptr) rt::ready(woken->owner);
}

}  // namespace

std::error_code call::error_of(ssize_t failed) const noexcept {
    return failed == k_cancelled ? cancel_reason(until) : errno_code(static_cast<int>(-failed));
}

// The turn if nobody has it; else -EBUSY. mu is held.
int call::begin_at_once() {
    if (d.closing || d.native < 0) return -EBADF;
    if (s.busy) return -EBUSY;
    ++d.uses;
    s.busy = true;
    return 0;
}

int call::begin() {
    if (until != nullptr && until->is_done()) return k_cancelled;
    d.mu.acquire();
    const int e = begin_at_once();
    d.mu.release();
    return e == -EBUSY ? wait_for_turn() : e;
}

int call::wait_for_turn() {
    parker self;
    io_waiter w(&d, &s);
    w.owner = self.name();
    w.drop = drop_turn;
    const recall end(&w, until);
    d.mu.acquire();
    if (const int e = end.came ? k_cancelled : begin_at_once(); e != -EBUSY) {
        d.mu.release();
        return e;
    }
    ++d.uses;
    s.turn.push_back(&w);
    self.park(unlock_descriptor, &d, wait_reason::io_wait, &w);
    // The turn was passed on; that it is closing shows at the try.
    if (w.result != outcome::cancelled) return 0;
    d.mu.acquire();
    end_use(&d);
    return k_cancelled;
}

void call::end() {
    d.mu.acquire();
    waiter* next = pass_turn(s);
    const who owner = next != nullptr ? next->owner : who{};
    end_use(&d);
    if (owner) rt::ready(owner);
}

// By poll(2) in slices, so that closing, deadlines and the context are seen.
int call::wait_on_thread() {
    constexpr int k_slice_ms = 20;
    for (;;) {
        d.mu.acquire();
        const bool closed = d.closing;
        const std::int64_t deadline = s.deadline_ns;
        const int native = d.native;
        d.mu.release();
        if (closed) return -ECANCELED;
        if (until != nullptr && until->is_done()) return k_cancelled;
        const std::int64_t now = base::now_ns();
        if (deadline <= now) return -ETIMEDOUT;
        pollfd p{native, static_cast<short>(reading ? POLLIN | POLLRDHUP : POLLOUT), 0};
        const std::int64_t left_ms = (deadline - now) / 1'000'000 + 1;
        if (::poll(&p, 1, static_cast<int>(std::min<std::int64_t>(left_ms, k_slice_ms))) > 0)
            return 0;
    }
}

int call::wait_ready() {
    parker self;
    if (!self.on_goroutine()) return wait_on_thread();
    io_waiter w(&d, &s);
    w.owner = self.name();
    w.drop = drop_parked;
    w.fire = deadline_passed;
    const recall end(&w, until);
    for (;;) {
        d.mu.acquire();
        const std::int64_t deadline = s.deadline_ns;
        const bool timed = deadline != base::k_never_ns;
        int done = 1;
        if (d.closing)
            done = -ECANCELED;
        else if (end.came)
            done = k_cancelled;
        else if (timed && deadline <= base::now_ns())
            done = -ETIMEDOUT;
        else if (s.ready.exchange(false, std::memory_order_relaxed))  // mu orders it
            done = 0;
        if (done <= 0) {
            d.mu.release();
            return done;
        }
        s.parked = &w;
        parked_count.fetch_add(1, std::memory_order_relaxed);
        // Fires under mu at the earliest, that is after the park.
        if (timed) timer_start(&w, deadline);
        self.park(unlock_descriptor, &d, wait_reason::io_wait, &w);
        parked_count.fetch_sub(1, std::memory_order_relaxed);
        if (timed) timer_stop(&w);
        switch (w.result) {
            case outcome::ready: return 0;
            case outcome::closed: return -ECANCELED;
            case outcome::cancelled: return k_cancelled;
            case outcome::timed_out: continue;  // the deadline may have been moved since
            case outcome::again: continue;
        }
    }
}

ssize_t call::try_until_ready(native_op op, void* arg) {
    for (;;) {
        d.mu.acquire();
        const bool closed = d.closing;
        const std::int64_t deadline = s.deadline_ns;
        const bool wait_first = s.drained && !s.hangup;
        s.drained = false;
        const int native = d.native;
        const bool skip_try = wait_first && self() != nullptr;
        // Before the try: see descriptor.h. Under mu, as the poller's store is.
        if (!skip_try) s.ready.store(false, std::memory_order_relaxed);
        d.mu.release();
        if (closed) return -ECANCELED;
        if (deadline != base::k_never_ns && deadline <= base::now_ns()) return -ETIMEDOUT;
        if (skip_try) {
            if (const int e = wait_ready()) return e;
        }
        const ssize_t n = op(native, arg);
        if (n == -EINTR) continue;
        if (n != -EAGAIN && n != -EWOULDBLOCK) return n;
        if (const int e = wait_ready()) return e;
    }
}

void call::mark_drained() {
    const lock_guard hold(d.mu);
    s.drained = true;
}

std::expected<descriptor*, std::error_code> open_descriptor(int native) {
    const int flags = ::fcntl(native, F_GETFL);
    if (flags < 0) return std::unexpected(errno_code(errno));
    if ((flags & O_NONBLOCK) == 0 && ::fcntl(native, F_SETFL, flags | O_NONBLOCK) < 0)
        return std::unexpected(errno_code(errno));
    int type = 0, domain = 0;
    socklen_t size = sizeof type;
    const bool socket = ::getsockopt(native, SOL_SOCKET, SO_TYPE, &type, &size) == 0;
    size = sizeof domain;
    const bool internet = socket &&
                          ::getsockopt(native, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 &&
                          (domain == AF_INET || domain == AF_INET6);
    descriptor* d = take_descriptor();
    {
        lock_guard hold(d->mu);
        d->native = native;
        d->uses = 1;
        d->closing = false;
        d->held = true;
        d->socket = socket;
        d->tcp = internet && type == SOCK_STREAM;
        ++d->tag;
        for (side* s : {&d->in, &d->out}) {
            s->busy = false;
            s->deadline_ns = base::k_never_ns;
            s->drained = false;
            s->hangup = false;
            s->ready.store(false, std::memory_order_relaxed);
        }
    }
    if (const int e = poll_open(native, d, d->tag)) {
        {
            lock_guard hold(d->mu);
            d->native = -1;
            d->uses = 0;
            d->held = false;
            d->closing = true;
        }
        recycle(d);
        return std::unexpected(errno_code(e));
    }
    return d;
}

void close_descriptor(descriptor* d) noexcept {
    d->mu.acquire();
    if (d->closing) {
        d->mu.release();
        return;
    }
    d->closing = true;
    poll_close(d->native);
    io_waiter* in = take_parked(d->in, outcome::closed);
    io_waiter* out = take_parked(d->out, outcome::closed);
    const who reader = in != nullptr ? in->owner : who{};
    const who writer = out != nullptr ? out->owner : who{};
    end_use(d);
    if (reader) rt::ready(reader);
    if (writer) rt::ready(writer);
}

void release_descriptor(descriptor* d) noexcept {
    d->mu.acquire();
    d->held = false;
    const bool unused = d->uses == 0;
    d->mu.release();
    if (unused) recycle(d);
}

int native_of(const descriptor* d) noexcept {
    auto* at = const_cast<descriptor*>(d);
    lock_guard hold(at->mu);
    return at->closing ? -1 : at->native;
}

std::expected<ssize_t, std::error_code> retry(descriptor* d, bool reading, native_op op,
                                              void* arg, const cancellation& until) {
    call c(d, reading, until);
    if (const int e = c.begin()) return std::unexpected(c.error_of(e));
    const ssize_t n = c.try_until_ready(op, arg);
    c.end();
    if (n < 0) return std::unexpected(c.error_of(n));
    return n;
}

std::error_code wait_until_ready(descriptor* d, bool reading, const cancellation& until) {
    call c(d, reading, until);
    if (const int e = c.begin()) return c.error_of(e);
    const int e = c.wait_ready();
    c.end();
    return e != 0 ? c.error_of(e) : std::error_code{};
}

void set_deadline_ns(descriptor* d, bool reading, bool writing, std::int64_t when_ns) {
    d->mu.acquire();
    who again[2];
    side* sides[2] = {reading ? &d->in : nullptr, writing ? &d->out : nullptr};
    for (int i = 0; i < 2; ++i) {
        if (sides[i] == nullptr) continue;
        sides[i]->deadline_ns = when_ns;
        // A parked caller looks at its deadline again.
        if (io_waiter* w = take_parked(*sides[i], outcome::again)) again[i] = w->owner;
    }
    d->mu.release();
    for (who w : again) {
        if (w) rt::ready(w);
    }
}

}  // namespace pirn::io::detail

namespace pirn::rt {

std::uint32_t io_waiters() {
    return io::detail::parked_count.load(std::memory_order_relaxed);
}

void descriptor_event(io::detail::descriptor* d, std::uint16_t tag, poll_event e,
                      base::fifo<qnode>& found) {
    using namespace io::detail;
    io_waiter* woken[2] = {nullptr, nullptr};
    d->mu.acquire();
    if (d->tag != tag || d->closing) {
        d->mu.release();
        return;  // of an earlier life
    }
    if (e.hangup) d->in.hangup = true;
    if (e.readable && (woken[0] = take_parked(d->in, outcome::ready)) == nullptr)
        d->in.ready.store(true, std::memory_order_relaxed);
    if (e.writable && (woken[1] = take_parked(d->out, outcome::ready)) == nullptr)
        d->out.ready.store(true, std::memory_order_relaxed);
    d->mu.release();
    for (io_waiter* w : woken) {
        if (w == nullptr) continue;
        g* gp = w->owner.goroutine();
        make_runnable(gp);
        found.push_back(gp);
    }
}

// Descriptors that are free stay on their list, each change to which is one store.
void forget_io() {
    using namespace io::detail;
    ::new (&free_mu) lock(lock_rank::leaf);
    parked_count.store(0, std::memory_order_relaxed);
}

}  // namespace pirn::rt
