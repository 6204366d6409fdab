// SPDX-License-Identifier: MIT
// Who holds which mutex and who waits for which: two tables under one lock, in debugging runs only.
//
// A goroutine stands in `owners` from after it has locked a mutex until before that is unlocked, so
// that what stands there is true. It stands in `waiters` from before it waits until it has the
// mutex. A circle is closed by a goroutine that begins to wait; it walks from the mutex to its
// owner, to what that one waits for, and so on. Two that close one at the same moment do so one
// after the other, because of the lock: the second sees it.
//
// All in a circle wait and cannot end, so that their records may be read for the report. Only an
// unlock by somebody outside would break it: a program that unlocks mutexes on behalf of others has
// to do without this.
#include "runtime/owners.h"

#include <cstdint>
#include <cstdio>
#include <new>

#include "runtime/base/check.h"
#include "runtime/dump.h"
#include "runtime/lock.h"
#include "runtime/m.h"
#include "runtime/self.h"
#include "runtime/settings.h"

namespace pirn::detail {

constinit word<bool> owners_watched{false};

}  // namespace pirn::detail

namespace pirn::rt {

namespace {

void watch(bool on) {
    // Relaxed: see watch_owners.
    detail::owners_watched.store(on, std::memory_order_relaxed);
}

// From a key, not 0, to what is known of it: open addressing, with linear probing.
template <class Value>
class table {
  public:
    struct entry {
        std::uintptr_t key;
        Value value;
    };

    // Null: it is not there.
    Value* find(std::uintptr_t key) {
        for (std::uint32_t i = home(key); entries_[i].key != 0; i = next(i)) {
            if (entries_[i].key == key) return &entries_[i].value;
        }
        return nullptr;
    }
    // Where the table is full, nothing is put: what is not known closes no circle.
    void put(std::uintptr_t key, const Value& value) {
        if (Value* old = find(key)) {
            *old = value;
            return;
        }
        if (count_ >= k_entries / 4 * 3) return;
        std::uint32_t i = home(key);
        while (entries_[i].key != 0) i = next(i);
        entries_[i] = {key, value};
        ++count_;
    }
    void remove(std::uintptr_t key) {
        std::uint32_t hole = home(key);
        while (entries_[hole].key != key) {
            if (entries_[hole].key == 0) return;
            hole = next(hole);
        }
        --count_;
        // Those behind it move up, unless they would come before their home.
        for (std::uint32_t i = next(hole); entries_[i].key != 0; i = next(i)) {
            const std::uint32_t from_home = (i - home(entries_[i].key)) % k_entries;
            if (from_home < (i - hole) % k_entries) continue;
            entries_[hole] = entries_[i];
            hole = i;
        }
        entries_[hole].key = 0;
    }
    void clear() {
        for (entry& e : entries_) e.key = 0;
        count_ = 0;
    }

  private:
    static constexpr std::uint32_t k_bits = 15, k_entries = 1u << k_bits;
    static std::uint32_t home(std::uintptr_t key) {
        return static_cast<std::uint32_t>((std::uint64_t{key} * 0x9e3779b97f4a7c15u) >>
                                          (64 - k_bits));
    }
    static std::uint32_t next(std::uint32_t i) { return (i + 1) % k_entries; }

    entry entries_[k_entries] = {};
    std::uint32_t count_ = 0;
};

struct waiting {
    const g* gp;
    const void* mutex;
};

constexpr std::size_t k_circle_max = 32;  // how many of one are named

constinit lock mu{lock_rank::leaf};
// Guarded by mu. Goroutines go by their ids, which nobody gets again.
constinit table<std::uint64_t> owners;  // by mutex
constinit table<waiting> waiters;       // by goroutine
// Something stands in a table, perhaps of the last run.
constinit bool used = false;

g* running() {
    m* mp = self();
    return mp != nullptr ? mp->cur() : nullptr;
}

std::uintptr_t key_of(const void* mutex) { return reinterpret_cast<std::uintptr_t>(mutex); }

[[noreturn]] void report(const waiting* circle, std::size_t n) {
    char text[900];
    std::size_t at = 0;
    for (std::size_t i = 0; i < n && at < sizeof text; ++i) {
        const g* gp = circle[i].gp;
        char who[128];
        if (gp->name_bytes != 0)
            std::snprintf(who, sizeof who, "\"%.*s\"", static_cast<int>(gp->name_bytes), gp->name);
        else
            describe_entry(gp, who, sizeof who);
        const int wrote = std::snprintf(
            text + at, sizeof text - at,
            "\ngoroutine %lu (%s) waits for the mutex at %p, which goroutine %lu holds",
            static_cast<unsigned long>(gp->id), who, circle[i].mutex,
            static_cast<unsigned long>(circle[(i + 1) % n].gp->id));
        if (wrote < 0) break;
        // Whole lines only: all are in the dump that follows.
        if (at + static_cast<std::size_t>(wrote) >= sizeof text) {
            text[at] = '\0';
            break;
        }
        at += static_cast<std::size_t>(wrote);
    }
    base::fatalf("goroutines wait for each other's mutexes - deadlock!%s", text);
}

}  // namespace

void start_owners() {
    const bool on = debug_setting("deadlock") == "1";
    {
        lock_guard hold(mu);
        if (used) {
            owners.clear();
            waiters.clear();
        }
        used = on;
    }
    watch(on);
}

void forget_owners() {
    ::new (&mu) lock(lock_rank::leaf);
    watch(false);
}

void await_owner(const void* mutex) {
    const g* gp = running();
    if (gp == nullptr) return;
    waiting circle[k_circle_max];
    std::size_t n = 0;
    bool closed = false;
    {
        lock_guard hold(mu);
        waiting at{gp, mutex};
        waiters.put(gp->id, at);
        while (n < k_circle_max && !closed) {
            circle[n++] = at;
            const std::uint64_t* owner = owners.find(key_of(at.mutex));
            if (owner == nullptr) break;
            closed = *owner == gp->id;
            const waiting* further = waiters.find(*owner);
            if (further == nullptr) break;
            at = *further;
        }
    }
    if (closed) report(circle, n);
}

void become_owner(const void* mutex) {
    const g* gp = running();
    lock_guard hold(mu);
    if (gp == nullptr) {
        owners.remove(key_of(mutex));  // a thread that is not ours; it may wait for anything
        return;
    }
    waiters.remove(gp->id);
    owners.put(key_of(mutex), gp->id);
}

void end_ownership(const void* mutex) {
    lock_guard hold(mu);
    owners.remove(key_of(mutex));
}

}  // namespace pirn::rt
