// SPDX-License-Identifier: MIT
// mutex and rw_mutex, their real sources, on a parking lot of the explorer's: in every interleaving
// a writer is alone, nobody sleeps for good, and nobody touches one that another has destroyed
// after it locked and unlocked it. What is put in to break them must be found.
#include <catch2/catch.hpp>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <optional>
#include <string>

#include <pirn/mutex.h>
#include <pirn/rw_mutex.h>

#include "runtime/base/check.h"
#include "runtime/owners.h"
#include "runtime/sema.h"
#include "sync/destroyed.h"
#include "test/support/explorer.h"

constinit pirn::detail::word<bool> pirn::detail::owners_watched{false};

namespace {

using namespace pirn;

constexpr int k_most = 4;

enum class use { lock, lock_until, read, read_until };

// Who takes part; each uses the lock once, and who is the last of all destroys it, but where that
// makes too many orders. Where some have deadlines, one more thread is the clock.
struct cast {
    const char* name;
    bool rw;
    bool starving;   // all waits are long, so that it is handed over
    int users;
    use does[k_most];
    bool kept = false;
};

enum class mistake {
    none,
    parks_without_lock,   // looks at the word before it has the bucket's lock
    wakes_nobody,         // the bucket's waker takes the first out, and forgets it
};

constexpr std::int64_t k_soon_ns = 1'000, k_long_ns = 10'000'000;
constexpr clock::time_point k_soon{std::chrono::nanoseconds(k_soon_ns)};

class play;
play* now = nullptr;

class play : public model::scenario {
  public:
    play(const cast& who, mistake wrong) : who_(who), wrong_(wrong), left_(who.users) {
        ::new (&detail::owners_watched) detail::word<bool>(false);
        // Not destroyed at the end, where nothing is explored any more.
        if (who.rw)
            rw_ = ::new (object_) rw_mutex;
        else
            mutex_ = ::new (object_) pirn::mutex;
        for (int i = 0; i < k_most; ++i) sleepers_[i].number = static_cast<std::uint64_t>(i);
        has_clock_ = false;
        for (int i = 0; i < who.users; ++i)
            has_clock_ = has_clock_ || who.does[i] == use::lock_until ||
                         who.does[i] == use::read_until;
        now = this;
        model::on_touch = [](const void* word) {
            const bool is_global = word == &detail::owners_watched;
            model::require(!now->gone_ || is_global, "touched when it was gone");
        };
    }

    int threads() const override { return who_.users + (has_clock_ ? 1 : 0); }
    void thread(int id) override {
        char here = 0;
        frame_[id] = &here;
        if (id == who_.users) return ring();
        const bool writes = who_.does[id] < use::read;
        bool last = false;
        if (enter(who_.does[id])) {
            stay(writes);
            last = --left_ == 0;
            leave(writes);
        } else {
            last = --left_ == 0;
        }
        ++done_;
        if (!last || who_.kept) return;
        enter(use::lock);
        stay(true);
        leave(true);
        gone_ = true;
    }
    std::uint64_t digest() const override {
        auto h = static_cast<std::uint64_t>(left_ | readers_ << 4 | writers_ << 8 | gone_ << 12 |
                                            rang_ << 13 | done_ << 16);
        for (int i = 0; i < queued_; ++i) h = model::mix(h, queue_[i]->number + 1);
        for (int i = 0; i < k_most; ++i) {
            h = model::mix(h, sleepers_[i].token);
            h = model::mix(h, static_cast<std::uint64_t>(sleepers_[i].since_ns));
            h = model::mix(h, static_cast<std::uint64_t>(looks_[i] | timed_[i] << 8));
        }
        return h;
    }
    const char* verdict() override {
        return done_ == who_.users && (gone_ || who_.kept) ? nullptr
                                                           : "lost: somebody sleeps for good";
    }

    // The parking lot.

    std::uintptr_t park(bool (*validate)(void*), void* arg, bool lifo, std::int64_t since_ns,
                        std::int64_t deadline_ns) {
        const int id = me();
        const bool timed = deadline_ns != base::k_never_ns;
        if (timed && rang_) return rt::k_timed_out;
        const bool early = wrong_ == mistake::parks_without_lock;
        if (early && !validate(arg)) return rt::k_not_parked;
        lot_.acquire();
        if (!early && !validate(arg)) {
            lot_.release();
            return rt::k_not_parked;
        }
        if (timed && rang_) {
            lot_.release();
            return rt::k_timed_out;
        }
        rt::sleeper* s = &sleepers_[id];
        s->since_ns = since_ns;
        timed_[id] = timed;
        int at = queued_++;
        for (; lifo && at > 0; --at) queue_[at] = queue_[at - 1];
        queue_[at] = s;
        lot_.release();
        wake_[id].sleep();
        return s->token;
    }
    template <class Visit>
    void visit(Visit look) {
        lot_.acquire();
        look();
        rt::sleeper* taken[k_most];
        const int n = taken_count_;
        for (int i = 0; i < n; ++i) taken[i] = taken_[i];
        taken_count_ = 0;
        lot_.release();
        if (wrong_ == mistake::wakes_nobody) return;
        for (int i = 0; i < n; ++i) wake_[taken[i]->number].wake();
    }
    rt::sleeper* first() const { return queued_ != 0 ? queue_[0] : nullptr; }
    rt::sleeper* next(const rt::sleeper* s) const {
        for (int i = 0; i + 1 < queued_; ++i) {
            if (queue_[i] == s) return queue_[i + 1];
        }
        return nullptr;
    }
    void take(rt::sleeper* s, std::uintptr_t token) {
        int at = 0;
        while (queue_[at] != s) ++at;
        for (--queued_; at < queued_; ++at) queue_[at] = queue_[at + 1];
        s->token = token;
        taken_[taken_count_++] = s;
    }
    // A thread's first look at the clock says little, each later one that much time has passed.
    std::int64_t look_at_clock() {
        if (!who_.starving) return 1;
        return looks_[me()]++ == 0 ? 1 : k_long_ns;
    }

  private:
    // Who calls: the one on whose stack we are, in a frame of its own below that of thread().
    [[gnu::noinline]] int me() const {
        const char here = 0;
        int found = -1;
        for (int i = 0; i < threads(); ++i) {
            if (frame_[i] == nullptr || frame_[i] < &here) continue;
            if (found < 0 || frame_[i] < frame_[found]) found = i;
        }
        return found;
    }
    bool enter(use how) {
        switch (how) {
            case use::lock:
                rw_ != nullptr ? rw_->lock() : mutex_->lock();
                return true;
            case use::lock_until:
                return rw_ != nullptr ? rw_->try_lock_until(k_soon)
                                      : mutex_->try_lock_until(k_soon);
            case use::read: rw_->lock_shared(); return true;
            case use::read_until: return rw_->try_lock_shared_until(k_soon);
        }
        return false;
    }
    void stay(bool writes) {
        if (writes) {
            model::require(readers_ == 0 && writers_ == 0, "a writer is not alone");
            ++writers_;
            data_.set(data_.get() + 1);
            // What readers did is over, and visible.
            for (const auto& mark : marks_) (void)mark.get();
        } else {
            model::require(writers_ == 0, "a reader beside a writer");
            ++readers_;
            marks_[me()].set(data_.get());
        }
    }
    void leave(bool writes) {
        if (!writes) {
            --readers_;
            rw_->unlock_shared();
            return;
        }
        writers_ = 0;
        rw_ != nullptr ? rw_->unlock() : mutex_->unlock();
    }
    // The deadline, which is everyone's.
    void ring() {
        visit([this] {
            rang_ = true;
            for (rt::sleeper* s = first(); s != nullptr;) {
                rt::sleeper* following = next(s);
                if (timed_[s->number]) take(s, rt::k_timed_out);
                s = following;
            }
        });
    }

    const cast who_;
    const mistake wrong_;
    bool has_clock_ = false;
    alignas(8) unsigned char object_[8] = {};
    rw_mutex* rw_ = nullptr;
    pirn::mutex* mutex_ = nullptr;
    model::plain<int> data_;             // written by writers
    model::plain<int> marks_[k_most];   // each by one reader
    const char* frame_[k_most + 1] = {};
    // Between two steps.
    int left_;   // who has not been inside yet
    int done_ = 0;
    int readers_ = 0, writers_ = 0;
    bool gone_ = false;
    model::mutex lot_;
    model::event wake_[k_most];
    rt::sleeper sleepers_[k_most];   // each one's number is its thread's
    // Guarded by lot_.
    rt::sleeper* queue_[k_most] = {};
    int queued_ = 0;
    rt::sleeper* taken_[k_most] = {};
    int taken_count_ = 0;
    bool timed_[k_most] = {};
    bool rang_ = false;
    int looks_[k_most + 1] = {};
};

}  // namespace

// What the sources use of the runtime.

namespace pirn::base {
std::int64_t now_ns() { return now->look_at_clock(); }
void fatal(const char* message) {
    model::require(false, message);
    std::abort();
}
}  // namespace pirn::base

namespace pirn::sync {
void check_nobody_waits(const void*, const char*) {}
}  // namespace pirn::sync

namespace pirn {
std::error_code cancellation::err() const noexcept { return {}; }
}  // namespace pirn

namespace pirn::rt {

void await_owner(const void*) {}
void become_owner(const void*) {}
void end_ownership(const void*) {}
bool sema_spin(std::uint32_t) { return false; }

std::uintptr_t sema_park(const void*, bool (*validate)(void*), void* arg, bool lifo, wait_reason,
                         std::int64_t since_ns, const detail::wait_end& end) {
    return now->park(validate, arg, lifo, since_ns, end.deadline_ns);
}

bool sema_wake_one(const void*, std::uintptr_t (*decide)(const sema_wake&, void*), void* arg) {
    now->visit([&] {
        sleeper* s = now->first();
        if (s == nullptr) {
            decide({.woke = false, .more = false, .since_ns = 0}, arg);
            return;
        }
        const bool more = now->next(s) != nullptr;
        const std::int64_t since_ns = s->since_ns;
        now->take(s, 0);
        s->token = decide({.woke = true, .more = more, .since_ns = since_ns}, arg);
    });
    return true;
}

void sema_visit(const void* key, void (*visit)(sema_line&, void*), void* arg) {
    sema_line line(key);
    now->visit([&] { visit(line, arg); });
}
// A scenario has one object, so that the key says nothing.
sleeper* sema_line::first() const { return key_ != nullptr ? now->first() : nullptr; }
sleeper* sema_line::next(const sleeper* s) const { return now->next(s); }
void sema_line::take(sleeper* s, std::uintptr_t token) {
    now->take(s, token);
    taken_ = last_taken_ = s;
}

}  // namespace pirn::rt

namespace {

constexpr cast k_casts[] = {
    {"mutex: two", false, false, 2, {use::lock, use::lock}},
    {"mutex: three", false, false, 3, {use::lock, use::lock, use::lock}},
    {"mutex: three that starve", false, true, 3, {use::lock, use::lock, use::lock}},
    {"mutex: one has a deadline", false, false, 2, {use::lock, use::lock_until}},
    {"mutex: one of three has a deadline", false, true, 3,
     {use::lock, use::lock_until, use::lock}, true},
    {"rw_mutex: a writer and a reader", true, false, 2, {use::lock, use::read}},
    {"rw_mutex: a writer and two readers", true, false, 3, {use::lock, use::read, use::read},
     true},
    {"rw_mutex: two writers and a reader", true, false, 3, {use::lock, use::lock, use::read}},
    {"rw_mutex: the same, starving", true, true, 3, {use::lock, use::lock, use::read}},
    {"rw_mutex: a writer with a deadline and a reader", true, false, 2,
     {use::lock_until, use::read}},
    {"rw_mutex: a reader with a deadline", true, false, 2, {use::lock, use::read_until}},
};

model::result explore(const cast& who, mistake wrong, const char* weakened = nullptr) {
    std::optional<play> one;
    const model::result r = model::explore([&] { return &one.emplace(who, wrong); },
                                           {.weakened_function = weakened});
    model::on_touch = nullptr;
    return r;
}

// Whether the cast shows the mistake.
bool is_found(const char* name, const cast& who, mistake wrong, const char* weakened = nullptr) {
    const model::result r = explore(who, wrong, weakened);
    std::printf("%s: after %lu executions with %s: %s\n", name,
                static_cast<unsigned long>(r.executions), who.name,
                r.failure.substr(0, r.failure.find('\n')).c_str());
    return !r.failure.empty() && (weakened == nullptr || r.weakened != 0);
}

}  // namespace

TEST_CASE("locks: a writer is alone, nobody is lost, nothing is touched late") {
    for (const cast& who : k_casts) {
        CAPTURE(who.name);
        const model::result r = explore(who, mistake::none);
        std::printf("%s: %lu executions, %lu states, %lu ends\n", who.name,
                    static_cast<unsigned long>(r.executions), static_cast<unsigned long>(r.states),
                    static_cast<unsigned long>(r.ends));
        CHECK(r.failure == "");
        CHECK(r.complete);
        CHECK(r.ends > 1);
    }
}

TEST_CASE("locks: what breaks them is found") {
    for (const cast* who : {&k_casts[0], &k_casts[5]}) {
        CAPTURE(who->name);
        CHECK(is_found("parks without the lock", *who, mistake::parks_without_lock));
        CHECK(is_found("wakes nobody", *who, mistake::wakes_nobody));
        CHECK(is_found("no release by unlock", *who, mistake::none, "unlock"));
    }
    const cast& mutex_three = k_casts[1];
    const cast& writer_and_two_readers = k_casts[6];
    const cast& two_writers = k_casts[7];
    CHECK(is_found("no acquire by lock", mutex_three, mistake::none, "lock"));
    CHECK(is_found("no acquire by take", mutex_three, mistake::none, "take"));
    CHECK(is_found("no release by give_free", mutex_three, mistake::none, "give_free"));
    CHECK(is_found("no acquire by lock", two_writers, mistake::none, "lock"));
    CHECK(is_found("no acquire by try_lock", two_writers, mistake::none, "try_lock"));
    CHECK(is_found("no acquire by try_lock_shared", writer_and_two_readers, mistake::none,
                   "try_lock_shared"));
    CHECK(is_found("no release by writer_leaves", writer_and_two_readers, mistake::none,
                   "writer_leaves"));
    CHECK(is_found("no release by unlock_shared", writer_and_two_readers, mistake::none,
                   "unlock_shared"));
    CHECK(is_found("no acquire by hand_over", writer_and_two_readers, mistake::none, "hand_over"));
}
