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
// Threads that the runtime does not own wait by poll(2) in short slices, because their wait must
// end without a runtime too.
#include <algorithm>
#include <cerrno>
#include <climits>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <pirn/io.h>

#include "runtime/base/alloc.h"
#include "runtime/base/check.h"
#include "runtime/fork.h"
#include "runtime/netpoll.h"
#include "runtime/self.h"
#include "runtime/status.h"
#include "runtime/sched.h"
#include "runtime/waiter.h"

namespace pirn::io::detail {

using namespace rt;

namespace {

enum class outcome : std::uintptr_t { ready, closed, timed_out, again };

struct side;

struct io_waiter : waiter, timer {
    descriptor* d = nullptr;
    side* at = nullptr;
    outcome result = outcome::ready;
};

struct side {
    // Guarded by descriptor::mu.
    bool busy = false;              // a call is in progress
    waiter_queue turn;              // callers waiting for it to end
    io_waiter* parked = nullptr;    // the one in progress, waiting for the poller
    std::int64_t deadline_ns = base::k_never_ns;
    bool drained = false;           // the last try took less than it asked for
    bool hangup = false;            // the peer has closed: no further edge may come
    // Set by the poller, cleared before a try. Atomic for that.
    base::atomic<bool> ready{false};
};

}  // namespace

struct descriptor {
    lock mu{lock_rank::fd};
    // Guarded by mu.
    int native = -1;
    std::uint32_t uses = 0;
    bool closing = false;
    bool held = false;         // an fd object refers to it
    bool tcp = false;
    bool socket = false;
    std::uint16_t tag = 0;
    side in, out;
    // Guarded by free_mu.
    descriptor* next_free = nullptr;
};

namespace {

constinit lock free_mu{lock_rank::leaf};
constinit descriptor* free_list = nullptr;  // guarded by free_mu
base::atomic<std::uint32_t> parked_count{0};

std::error_code error_of(int e) { return {e, std::generic_category()}; }

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

// Gives up a use; mu is held and let go. Closes and recycles when it was the last.
void end_use(descriptor* d) {
    PIRN_CHECK(d->uses > 0);
    const bool last = --d->uses == 0;
    const int native = d->native;
    if (last) d->native = -1;
    const bool recycle = last && !d->held;
    d->mu.release();
    if (last) {
        const int saved = errno;
        ::close(native);
        errno = saved;
    }
    if (recycle) {
        lock_guard hold(free_mu);
        d->next_free = free_list;
        free_list = d;
    }
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

bool drop_turn(waiter* w) noexcept {
    auto* iw = static_cast<io_waiter*>(w);
    descriptor* d = iw->d;
    d->mu.acquire();
    if (!iw->linked()) {
        d->mu.release();
        return false;
    }
    iw->at->turn.remove(iw);
    end_use(d);
    return true;
}

bool drop_parked(waiter* w) noexcept {
    auto* iw = static_cast<io_waiter*>(w);
    descriptor* d = iw->d;
    d->mu.acquire();
    if (iw->at->parked != iw) {
        d->mu.release();
        return false;
    }
    iw->at->parked = nullptr;
    parked_count.fetch_sub(1, std::memory_order_relaxed);
    // Goroutines in line are dropped like this one; the turn ends here.
    iw->at->busy = false;
    end_use(d);
    return true;
}

// Begins a call: counts a use and waits for the direction's turn. 0 or an errno value.
int begin(descriptor* d, side& s) {
    d->mu.acquire();
    if (d->closing || d->native < 0) {
        d->mu.release();
        return EBADF;
    }
    ++d->uses;
    if (!s.busy) {
        s.busy = true;
        d->mu.release();
        return 0;
    }
    parker self;
    io_waiter w;
    w.owner = self.name();
    w.d = d;
    w.at = &s;
    w.drop = drop_turn;
    s.turn.push_back(&w);
    self.park(unlock_descriptor, d, wait_reason::io_wait, &w);
    return 0;  // the turn was passed on; closing shows at the try
}

void end(descriptor* d, side& s) {
    d->mu.acquire();
    waiter* next = pass_turn(s);
    const who owner = next != nullptr ? next->owner : who{};
    end_use(d);
    if (owner) rt::ready(owner);
}

void deadline_passed(timer* t) {
    auto* w = static_cast<io_waiter*>(t);
    descriptor* d = w->d;
    d->mu.acquire();
    io_waiter* woken = w->at->parked == w ? take_parked(*w->at, outcome::timed_out) : nullptr;
    d->mu.release();
    if (woken != nullptr) rt::ready(woken->owner);
}

// Waits on a thread of its own: poll(2) in slices, so that closing and deadlines are seen.
int thread_wait(descriptor* d, side& s, bool reading) {
    constexpr int k_slice_ms = 20;
    for (;;) {
        d->mu.acquire();
        const bool closed = d->closing;
        const std::int64_t deadline = s.deadline_ns;
        const int native = d->native;
        d->mu.release();
        if (closed) return ECANCELED;
        const std::int64_t now = base::now_ns();
        if (deadline <= now) return ETIMEDOUT;
        pollfd p{native, static_cast<short>(reading ? POLLIN | POLLRDHUP : POLLOUT), 0};
        const std::int64_t left_ms = (deadline - now) / 1'000'000 + 1;
        if (::poll(&p, 1, static_cast<int>(std::min<std::int64_t>(left_ms, k_slice_ms))) > 0)
            return 0;
    }
}

// Parks until the poller has seen an edge since the last try. 0 or an errno value.
int wait_ready(descriptor* d, side& s, bool reading) {
    parker self;
    if (!self.on_goroutine()) return thread_wait(d, s, reading);
    for (;;) {
        io_waiter w;
        d->mu.acquire();
        if (d->closing) {
            d->mu.release();
            return ECANCELED;
        }
        const std::int64_t deadline = s.deadline_ns;
        if (deadline != base::k_never_ns && deadline <= base::now_ns()) {
            d->mu.release();
            return ETIMEDOUT;
        }
        if (s.ready.exchange(false, std::memory_order_relaxed)) {  // mu orders it
            d->mu.release();
            return 0;
        }
        w.owner = self.name();
        w.d = d;
        w.at = &s;
        w.drop = drop_parked;
        s.parked = &w;
        parked_count.fetch_add(1, std::memory_order_relaxed);
        if (deadline != base::k_never_ns) {
            // Fires under mu at the earliest, that is after the park.
            w.fire = deadline_passed;
            timer_start(&w, deadline);
        }
        self.park(unlock_descriptor, d, wait_reason::io_wait, &w);
        parked_count.fetch_sub(1, std::memory_order_relaxed);
        if (deadline != base::k_never_ns) timer_stop(&w);
        switch (w.result) {
            case outcome::ready: return 0;
            case outcome::closed: return ECANCELED;
            case outcome::timed_out: continue;  // the deadline may have been moved since
            case outcome::again: continue;
        }
    }
}

// One goroutine's try of `op`, repeated until it does not say EAGAIN. The turn is the caller's.
ssize_t try_until_ready(descriptor* d, side& s, bool reading, native_op op, void* arg) {
    for (;;) {
        d->mu.acquire();
        const bool closed = d->closing;
        const std::int64_t deadline = s.deadline_ns;
        const bool wait_first = s.drained && !s.hangup;
        s.drained = false;
        const int native = d->native;
        const bool skip_try = wait_first && self() != nullptr;
        // Before the try: see above. Under mu, as the poller's store is.
        if (!skip_try) s.ready.store(false, std::memory_order_relaxed);
        d->mu.release();
        if (closed) return -ECANCELED;
        if (deadline != base::k_never_ns && deadline <= base::now_ns()) return -ETIMEDOUT;
        if (skip_try) {
            if (const int e = wait_ready(d, s, reading)) return -e;
        }
        const ssize_t n = op(native, arg);
        if (n == -EINTR) continue;
        if (n != -EAGAIN && n != -EWOULDBLOCK) return n;
        if (const int e = wait_ready(d, s, reading)) return -e;
    }
}

std::expected<ssize_t, std::error_code> run_op(descriptor* d, bool reading, native_op op,
                                               void* arg) {
    side& s = reading ? d->in : d->out;
    if (const int e = begin(d, s)) return std::unexpected(error_of(e));
    const ssize_t n = try_until_ready(d, s, reading, op, arg);
    end(d, s);
    if (n < 0) return std::unexpected(error_of(static_cast<int>(-n)));
    return n;
}

}  // namespace

std::expected<descriptor*, std::error_code> open_descriptor(int native) {
    const int flags = ::fcntl(native, F_GETFL);
    if (flags < 0) return std::unexpected(error_of(errno));
    if ((flags & O_NONBLOCK) == 0 && ::fcntl(native, F_SETFL, flags | O_NONBLOCK) < 0)
        return std::unexpected(error_of(errno));
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
        lock_guard hold(free_mu);
        d->next_free = free_list;
        free_list = d;
        return std::unexpected(error_of(e));
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
    const bool recycle = d->uses == 0;
    d->mu.release();
    if (!recycle) return;
    lock_guard hold(free_mu);
    d->next_free = free_list;
    free_list = d;
}

int native_of(const descriptor* d) noexcept {
    auto* at = const_cast<descriptor*>(d);
    lock_guard hold(at->mu);
    return at->closing ? -1 : at->native;
}

std::expected<ssize_t, std::error_code> retry(descriptor* d, bool reading, native_op op,
                                              void* arg) {
    return run_op(d, reading, op, arg);
}

std::error_code wait_until_ready(descriptor* d, bool reading) {
    side& s = reading ? d->in : d->out;
    if (const int e = begin(d, s)) return error_of(e);
    const int e = wait_ready(d, s, reading);
    end(d, s);
    return e != 0 ? error_of(e) : std::error_code{};
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

namespace {

struct read_request {
    std::span<std::byte> buffer;
};

struct write_request {
    iovec* pieces;
    int count;
    bool socket;
};

ssize_t do_read(int native, void* arg) {
    auto& r = *static_cast<read_request*>(arg);
    const ssize_t n = ::read(native, r.buffer.data(), r.buffer.size());
    return n < 0 ? -errno : n;
}

// A broken pipe of a socket raises nothing; for other files the M is marked, so that the handler
// in signal.cc knows whose SIGPIPE it is.
ssize_t do_write(int native, void* arg) {
    auto& w = *static_cast<write_request*>(arg);
    if (w.socket) {
        msghdr message{};
        message.msg_iov = w.pieces;
        message.msg_iovlen = static_cast<std::size_t>(w.count);
        const ssize_t n = ::sendmsg(native, &message, MSG_NOSIGNAL);
        return n < 0 ? -errno : n;
    }
    m* mp = self();
    if (mp != nullptr) mp->writing_fd = true;
    const ssize_t n = ::writev(native, w.pieces, w.count);
    const int e = errno;
    if (mp != nullptr) mp->writing_fd = false;
    return n < 0 ? -e : n;
}

}  // namespace

std::expected<std::size_t, std::error_code> read_some(descriptor* d, std::span<std::byte> buffer) {
    if (buffer.empty()) return 0;
    read_request r{buffer};
    side& s = d->in;
    if (const int e = begin(d, s)) return std::unexpected(error_of(e));
    const ssize_t n = try_until_ready(d, s, true, do_read, &r);
    d->mu.acquire();
    if (n > 0 && d->tcp && static_cast<std::size_t>(n) < buffer.size()) s.drained = true;
    d->mu.release();
    end(d, s);
    if (n < 0) return std::unexpected(error_of(static_cast<int>(-n)));
    return static_cast<std::size_t>(n);
}

std::expected<std::size_t, std::error_code> write_all(descriptor* d,
                                                      const std::span<const std::byte>* buffers,
                                                      std::size_t count) {
    constexpr std::size_t k_pieces = 16;
    side& s = d->out;
    if (const int e = begin(d, s)) return std::unexpected(error_of(e));
    std::size_t total = 0, at = 0, offset = 0;
    ssize_t n = 0;
    while (at < count) {
        iovec pieces[k_pieces];
        int used = 0;
        for (std::size_t i = at, skip = offset; i < count && used < int{k_pieces}; ++i, skip = 0) {
            if (buffers[i].size() == skip) continue;
            pieces[used++] = {const_cast<std::byte*>(buffers[i].data()) + skip,
                              buffers[i].size() - skip};
        }
        if (used == 0) break;
        write_request w{pieces, used, d->socket};
        n = try_until_ready(d, s, false, do_write, &w);
        if (n < 0) break;
        total += static_cast<std::size_t>(n);
        // Steps over what is written.
        for (auto left = static_cast<std::size_t>(n); at < count;) {
            const std::size_t rest = buffers[at].size() - offset;
            if (left < rest) {
                offset += left;
                break;
            }
            left -= rest;
            offset = 0;
            ++at;
        }
    }
    end(d, s);
    if (n < 0) return std::unexpected(error_of(static_cast<int>(-n)));
    return total;
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
