// SPDX-License-Identifier: MIT
// park and ready: how every blocking operation of sync/, chan/ and net/ puts its caller to sleep
// and is woken, whether the caller is a goroutine or a thread that the runtime does not own.
//
// Use:
//     rt::parker self;                       // on the frame of the blocking function
//     ... under a lock: put self.name() where the waker will find it ...
//     self.park(unlock, arg, reason);        // unlock(arg) runs once this caller is off its stack
//     ... woken: what the waker wrote before ready(who) is visible here ...
//
// A `who` is woken exactly once for each park. The waker takes it off its queue under the lock,
// unlocks, then calls ready(); it never calls ready() under a lock.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/base/atomic.h"

namespace pirn::rt {

struct g;
struct waiter;

// Why a goroutine waits, for dumps; the names are Go's.
enum class wait_reason : std::uint8_t {
    none,
    chan_receive,
    chan_receive_nil,
    chan_send,
    chan_send_nil,
    select,
    select_no_cases,
    sleep,
    mutex_lock,
    rw_mutex_lock,
    cond_wait,
    wait_group_wait,
    semaphore,
    io_wait,
    forever,
};
const char* wait_reason_name(wait_reason reason);

// A one-shot event on a futex: wake() lets one sleep() return, in either order.
class note {
  public:
    void clear() { state_.store(k_unset, std::memory_order_relaxed); }
    // Blocks the thread until wake() or until `deadline_ns` (base::now_ns's clock). True: woken.
    bool sleep(std::int64_t deadline_ns);
    // After the store the note may be gone: only its address is used, for the futex.
    void wake();

  private:
    static constexpr std::uint32_t k_unset = 0, k_set = 1;
    base::atomic<std::uint32_t> state_{k_unset};
};

// A coroutine that waits: `post` hands its resumption to the executor that the user gave. It runs
// code of the user's, and the coroutine may go on, elsewhere or within the call.
struct coroutine {
    void (*post)(coroutine*) noexcept = nullptr;
};

// Names a parked caller: a goroutine, a thread's note, or a coroutine that waits.
// One word, the kind in its low bits.
class who {
  public:
    constexpr who() = default;
    explicit who(g* gp) : word_(reinterpret_cast<std::uintptr_t>(gp)) {}
    explicit who(note* thread) : word_(reinterpret_cast<std::uintptr_t>(thread) | k_thread) {}
    explicit who(pirn::rt::coroutine* c)
        : word_(reinterpret_cast<std::uintptr_t>(c) | k_coroutine) {}
    explicit operator bool() const { return word_ != 0; }
    bool is_goroutine() const { return (word_ & k_mask) == 0; }
    bool is_thread() const { return (word_ & k_mask) == k_thread; }
    g* goroutine() const { return reinterpret_cast<g*>(word_ & ~k_mask); }
    note* thread() const { return reinterpret_cast<note*>(word_ & ~k_mask); }
    pirn::rt::coroutine* coroutine() const {
        return reinterpret_cast<pirn::rt::coroutine*>(word_ & ~k_mask);
    }
    // For who wakes many: has what ready() touches on its way to the cache.
    void prefetch() const {
        const char* at = reinterpret_cast<const char*>(word_ & ~k_mask);
        __builtin_prefetch(at, 1);
        __builtin_prefetch(at + 64, 1);
    }

  private:
    static constexpr std::uintptr_t k_thread = 1, k_coroutine = 2, k_mask = 3;
    std::uintptr_t word_ = 0;
};

// While it stands the calling goroutine is not made to give way, also after a park: for user code
// that runs under a lock of the runtime.
class no_preemption {
  public:
    no_preemption();
    ~no_preemption();
    no_preemption(const no_preemption&) = delete;
    no_preemption& operator=(const no_preemption&) = delete;

  private:
    g* gp_;
};

// Makes a parked caller runnable; what was written before is visible to it. From any thread. May
// be called from timer callbacks and under no lock.
void ready(who w);

class parker {
  public:
    parker();
    parker(const parker&) = delete;
    parker& operator=(const parker&) = delete;

    who name() const { return gp_ != nullptr ? who(gp_) : who(&note_); }
    bool on_goroutine() const { return gp_ != nullptr; }

    // Blocks the caller until ready(name()). `unlock(arg)` runs after the caller has left its
    // stack (on a thread: before it sleeps), so that no waker can find a goroutine that still runs;
    // it must not block, park or ready anyone. `waiting`: the record to be taken off its queue if
    // the run ends meanwhile; nullptr when there is none.
    void park(void (*unlock)(void*), void* arg, wait_reason reason, waiter* waiting = nullptr);

  private:
    g* gp_;
    mutable note note_;
};

// Uniform in [0, n), n > 0: for choices among operations that are possible. Not for secrets.
std::uint32_t random_below(std::uint32_t n);

// Blocks the caller for good (a nil channel, an empty select).
[[noreturn]] void park_forever(wait_reason reason);

}  // namespace pirn::rt
