// SPDX-License-Identifier: MIT
// A host's thread that drives one P: poll_fd and poll_once.
//
// The thread is an M while it is inside poll_once. Between its calls a P is kept for it, which
// rests: for wakers it counts as an idle one, the last that they come to, and instead of a thread
// being woken for it, the host's descriptor becomes readable (call_host). The P is not a certain
// one. Inside, the thread may lose its P as any M does, to a blocking call or a slice that is over;
// where it comes out without one, the next that is free is for it (host_wants).
//
// While the P rests, what waits in the poller or for a timer is watched by an M without a P.
#include <cerrno>
#include <ctime>

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <pirn/runtime.h>

#include "runtime/base/check.h"
#include "runtime/base/clock.h"
#include "runtime/idle.h"
#include "runtime/netpoll.h"
#include "runtime/sched.h"
#include "runtime/self.h"

namespace pirn::rt {
namespace {

// How long poll_once runs goroutines before it returns to the host.
constexpr std::int64_t k_turn_ns = 1'000'000;

void write_fd(sched* s) {
    const int saved = errno;
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t put =
        ::write(s->host_fd.load(std::memory_order_relaxed), &one, sizeof one);
    errno = saved;
}

void drain_fd(sched* s) {
    std::uint64_t count;
    [[maybe_unused]] const ssize_t got =
        ::read(s->host_fd.load(std::memory_order_relaxed), &count, sizeof count);
}

// s->mu is held.
void stop_resting(sched* s) {
    if (!s->host_rests) return;
    s->host_rests = false;
    s->idle_p_count.fetch_sub(1, std::memory_order_relaxed);
}

// s->mu is held. Makes the P the host's, or asks for one.
void find_host_p(sched* s) {
    if (s->host_p != nullptr || s->host_wants.load(std::memory_order_relaxed)) return;
    if (p* pp = pop_idle_p(s, nullptr)) {
        give_host(s, pp, false);
        return;
    }
    s->host_wants.store(true, std::memory_order_relaxed);
    for (auto& slot : s->ps) {
        // ORD(ps): acquire; pairs with the release in make_p.
        p* pp = slot.load(std::memory_order_acquire);
        if (pp == nullptr) break;
        pp->attention.store(true, std::memory_order_relaxed);
    }
}

// From the first call of poll_fd or poll_once on.
void open_host(sched* s) {
    if (s->host_fd.load(std::memory_order_relaxed) >= 0) return;
    const int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) base::fatalf("poll_fd: eventfd failed: errno %d", errno);
    int none = -1;
    // Relaxed: both threads that may be here use the one that stays.
    if (!s->host_fd.compare_exchange(none, fd, std::memory_order_relaxed,
                                     std::memory_order_relaxed)) {
        ::close(fd);
        return;
    }
    lock_guard hold(s->mu);
    find_host_p(s);
}

// The M takes the P that is kept for it. False: there is none now.
bool enter(m* mp) {
    sched* s = mp->owner;
    p* pp;
    {
        lock_guard hold(s->mu);
        find_host_p(s);
        pp = s->host_p;
        if (pp == nullptr) return false;
        s->host_p = nullptr;
        stop_resting(s);
        pp->status = p_status::in_use;
    }
    take_p(mp, pp);
    return true;
}

// The M leaves its P to rest.
void leave(m* mp) {
    sched* s = mp->owner;
    p* pp = mp->cpu;
    mp->cpu = nullptr;
    if (pp != nullptr && pp->id >= s->procs.load(std::memory_order_relaxed)) {
        hand_off_p(s, pp);
        pp = nullptr;
    }
    {
        lock_guard hold(s->mu);
        if (pp != nullptr) {
            pp->runner = nullptr;
            give_host(s, pp, false);
        } else {
            find_host_p(s);
        }
    }
    // ORD(idle): seq_cst fence; the resting P is visible before the queues are read again. Pairs
    // with the fence in handshake::wakeup_is_due.
    base::fence(std::memory_order_seq_cst);
    const outlook o = look_at_all(s);
    const bool due = o.first_timer_ns != base::k_never_ns && o.first_timer_ns <= base::now_ns();
    if (o.work || o.next_only || due) {
        lock_guard hold(s->mu);
        call_host(s);
    } else if (s->poller.load(std::memory_order_relaxed) == nullptr &&
               (o.first_timer_ns != base::k_never_ns || io_waiters() != 0)) {
        wake_to_watch(s);
    }
}

// The next goroutine for the host's thread; null: nothing is runnable, or it has no P any more.
qnode* find_next(m* mp) {
    sched* s = mp->owner;
    for (;;) {
        if (s->stopping.load(std::memory_order_relaxed)) return nullptr;
        if (mp->bound_g != nullptr) {
            if (qnode* n = await_bound(mp)) return n;
            if (mp->bound_g != nullptr) return nullptr;
        }
        if (mp->cpu == nullptr || mp->cpu->id >= s->procs.load(std::memory_order_relaxed))
            return nullptr;
        qnode* n = look_at_hand(mp);
        if (n == nullptr) n = steal_work(mp, true);
        if (n == nullptr && io_waiters() != 0) {
            base::fifo<qnode> found;
            poll_net(s, 0, found);
            n = found.pop_front();
            queue_polled(mp->cpu, found);
        }
        if (n == nullptr || !is_bound(n)) return n;
        give_p_to_bound(mp, to_g(n));
    }
}

// Runs what is runnable, for a turn. Whether there was anything.
bool drive(m* mp) {
    const std::int64_t end_ns = base::now_ns() + k_turn_ns;
    bool ran = false;
    while (qnode* n = find_next(mp)) {
        ran = true;
        run_from_g0(mp, n);
        if (base::now_ns() >= end_ns) break;
    }
    return ran;
}

void sleep_on_fd(sched* s, std::int64_t until_ns) {
    timespec t{};
    timespec* timeout = nullptr;
    if (until_ns != base::k_never_ns) {
        const std::int64_t left_ns = until_ns - base::now_ns();
        if (left_ns <= 0) return;
        t.tv_sec = left_ns / 1'000'000'000;
        t.tv_nsec = left_ns % 1'000'000'000;
        timeout = &t;
    }
    pollfd waits{s->host_fd.load(std::memory_order_relaxed), POLLIN, 0};
    ::ppoll(&waits, 1, timeout, nullptr);
}

// One call of poll_once at a time.
class turn {
  public:
    explicit turn(sched* s) : s_(s) {
        // ORD(host): acquire; what the thread before has left. Pairs with the release below.
        if (s->host_inside.exchange(true, std::memory_order_acquire))
            throw panic("poll_once: another thread is in it");
    }
    // ORD(host): release; pairs with the acquire above.
    ~turn() { s_->host_inside.store(false, std::memory_order_release); }
    turn(const turn&) = delete;
    turn& operator=(const turn&) = delete;

  private:
    sched* s_;
};

bool run_turn(sched* s) {
    if (s->host.get() == nullptr) s->host = make_m(s);
    m* mp = s->host.get();
    if (!enter(mp)) return false;
    drain_fd(s);  // nobody calls until it rests again, but for the end of the run
    if (!::pthread_equal(mp->thread, ::pthread_self())) {
        lock_guard hold(s->mu);
        mp->thread = ::pthread_self();
        mp->tid = 0;
    }
    adopt_thread(mp);
    const bool ran = drive(mp);
    leave_thread(mp);
    leave(mp);
    return ran;
}

}  // namespace

void give_host(sched* s, p* pp, bool called) {
    // Relaxed: looked at again under mu, as here.
    s->host_wants.store(false, std::memory_order_relaxed);
    pp->status = p_status::resting;
    s->host_p = pp;
    if (called) {
        write_fd(s);
        return;
    }
    s->host_rests = true;
    // Relaxed: the caller's fence follows, as with the idle list.
    s->idle_p_count.fetch_add(1, std::memory_order_relaxed);
}

void call_host(sched* s) {
    if (!s->host_rests) return;
    stop_resting(s);
    write_fd(s);
}

void call_host_to_end(sched* s) {
    if (s->host_fd.load(std::memory_order_relaxed) >= 0) write_fd(s);
}

void forget_host(sched* s) {
    const int fd = s->host_fd.load(std::memory_order_relaxed);
    if (fd >= 0) ::close(fd);
    if (m* mp = s->host.get()) forget_thread(mp);
}

}  // namespace pirn::rt

namespace pirn {

using namespace rt;

int poll_fd() {
    sched_ref run;
    sched* s = run.get();
    if (s == nullptr) throw panic("poll_fd outside any runtime");
    open_host(s);
    return s->host_fd.load(std::memory_order_relaxed);
}

namespace detail {

bool poll_once_until_ns(std::int64_t deadline_ns) {
    if (self() != nullptr) throw panic("poll_once: called by a goroutine");
    sched_ref run;
    sched* s = run.get();
    if (s == nullptr) throw panic("poll_once outside any runtime");
    open_host(s);
    turn mine(s);
    for (;;) {
        if (run_turn(s)) return true;
        // Only now: the turn may have taken the call that says so off the descriptor.
        if (s->stopping.load(std::memory_order_relaxed) || base::now_ns() >= deadline_ns)
            return false;
        sleep_on_fd(s, deadline_ns);
    }
}

}  // namespace detail
}  // namespace pirn
