// SPDX-License-Identifier: MIT
// The handshake of who queues work with who goes to sleep, on the real headers (handshake.h and
// runq.h): in every interleaving no work is left while every M sleeps, and one wakeup at most is
// in flight. Each way to break the protocol that is known is put in, and must be found.
#include <catch2/catch.hpp>

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>

#include "runtime/handshake.h"
#include "runtime/runq.h"
#include "test/support/explorer.h"

namespace {

using namespace pirn;
namespace handshake = rt::handshake;

constexpr int k_most = 4;

enum class mistake {
    none,
    looks_before_giving_up,   // and not after
    sleeps_without_look,
    wakes_no_next,            // the last spinner that leaves with work
    claims_always,            // a wakeup is sent although one is in flight
    drops_claim_late,         // a wakeup without a P is taken back after the lock
};

// One of the handshake's words, whose compare-exchange may lie.
struct word : base::atomic<std::uint32_t> {
    bool lies = false;
    bool compare_exchange(std::uint32_t& expected, std::uint32_t desired,
                          std::memory_order success, std::memory_order failure) {
        if (!lies) return atomic::compare_exchange(expected, desired, success, failure);
        fetch_add(1, std::memory_order_relaxed);
        return true;
    }
};

struct item {
    int times_run = 0;
};

// The least that a P's queue can be, so that the orders of the handshake's own steps are what is
// explored. Only queuers fill theirs.
template <int Size>
class slots {
  public:
    bool push(item* work) {
        if (filled_ == Size) return false;
        item_[filled_++].store(work, std::memory_order_release);
        return true;
    }
    item* pop(bool) { return nullptr; }
    item* steal(slots&) {
        for (auto& at : item_) {
            item* work = at.load(std::memory_order_relaxed);
            if (work != nullptr && at.compare_exchange(work, nullptr, std::memory_order_acquire,
                                                       std::memory_order_relaxed))
                return work;
        }
        return nullptr;
    }
    bool ring_empty() const {
        for (auto& at : item_) {
            if (at.load(std::memory_order_relaxed) != nullptr) return false;
        }
        return true;
    }

  private:
    base::atomic<item*> item_[Size];
    int filled_ = 0;
};

using ring = rt::runq<item, 2>;

template <class Queue>
struct p_with {
    int id = 0;
    Queue queue;
};

// Who takes part. A queuer has a P, and computes on when it has queued its items; one from outside
// has none and queues for all. The other threads are Ms.
struct cast {
    const char* name;
    int queuers;
    bool outside;
    int items;        // each queuer's
    int awake;        // Ms that have a P and no work, about to look around
    int asleep;       // Ms on their notes, each with an idle P
    int spare;        // Ms that do not exist yet
    bool short_work;  // an item is done at once; else it goes on for good
    enum { one, two, real } queue;  // its size; or the library's own
    int begun = 0;         // queuers whose first item is on its queue already
    bool gave_up = false;  // those awake have given their Ps up, and look for the last time
};

template <class Queue>
class play : public model::scenario {
    using model_p = p_with<Queue>;
    struct model_m {
        int id = 0;
        model_p* cpu = nullptr;
        bool spinning = false;
        model::plain<model_p*> handed;
        model::event wake;
    };

  public:
    play(const cast& who, mistake wrong) : who_(who), wrong_(wrong) {
        lock_.name("lock");
        idle_p_count.name("idle_p_count");
        spinning.name("spinning");
        spinning.lies = wrong == mistake::claims_always;
        global_size_.name("global_size");
        for (int i = 0; i < k_most; ++i) ps_[i].id = ms_[i].id = i;
        int p = who.outside ? 0 : who.queuers;
        std::uint32_t idle = 0;
        for (int m = 0; m < who.awake + who.asleep; ++m, ++p) {
            if (m < who.awake && !who.gave_up) {
                ms_[m].cpu = &ps_[p];
                continue;
            }
            if (m >= who.awake) idle_ms_.set(idle_ms_.get() | 1u << m);
            idle_ps_.set(idle_ps_.get() | 1u << p);
            ++idle;
        }
        idle_p_count.store(idle, std::memory_order_relaxed);
        procs_ = p;
        for (int q = 0; q < who.begun; ++q) ps_[q].queue.push(&items_[q * who.items]);
    }

    // For the handshake.
    word idle_p_count, spinning;

    int threads() const override {
        return who_.queuers + who_.awake + who_.asleep + who_.spare;
    }
    void thread(int id) override {
        if (id < who_.queuers) return queue_items(id);
        model_m& m = ms_[id - who_.queuers];
        if (m.id >= who_.awake) take_handed(m);
        run(m);
    }
    std::uint64_t digest() const override {
        std::uint64_t h = static_cast<std::uint64_t>(in_flight_ * k_most + spares_used_);
        for (const item& i : items_) h = model::mix(h, static_cast<std::uint64_t>(i.times_run));
        for (const item* i : global_) h = model::mix(h, model::to_word(i));
        return h;
    }
    const char* verdict() override {
        bool left = false;
        for (int i = 0; i < who_.queuers * who_.items; ++i) {
            if (items_[i].times_run > 1) return "an item ran twice";
            left = left || items_[i].times_run == 0;
        }
        if (left && idle_ps_.get() != 0) return "lost: work is left, and a P idles";
        if (in_flight_ == 0 && spinning.load(std::memory_order_relaxed) != 0)
            return "all rest, but one counts as spinning";
        return nullptr;
    }

  private:
    // What handshake.h works on, for one thread of the play.
    struct world {
        play& all;
        model_m* m = nullptr;
        word& idle_p_count = all.idle_p_count;
        word& spinning = all.spinning;
        bool locked = false;

        void lock() {
            all.lock_.acquire();
            locked = true;
        }
        void unlock() {
            if (locked) all.lock_.release();
            locked = false;
        }
        model_p* pop_idle_p() {
            model_p* p = all.pop_idle_p();
            if (p == nullptr && m == nullptr && all.wrong_ == mistake::drops_claim_late) unlock();
            return p;
        }
        bool push_idle_p() {
            // Relaxed: under the lock, as who queues for all does.
            if (all.who_.outside && all.global_size_.load(std::memory_order_relaxed) != 0)
                return false;
            all.push_idle_p(m->cpu);
            m->cpu = nullptr;
            return true;
        }
        void hand_over(model_p* p) { all.hand_over(p); }
        void take_p(model_p* p) { m->cpu = p; }
        void wake_next() {
            if (all.wrong_ != mistake::wakes_no_next) all.wake_for_work();
        }
    };

    // As in idle.cc, without what has nothing to do with the handshake.
    model_p* pop_idle_p() {
        const std::uint32_t idle = idle_ps_.get();
        if (idle == 0) return nullptr;
        idle_ps_.set(idle & (idle - 1));
        idle_p_count.fetch_sub(1, std::memory_order_relaxed);
        return &ps_[__builtin_ctz(idle)];
    }
    void push_idle_p(const model_p* p) {
        idle_ps_.set(idle_ps_.get() | 1u << p->id);
        idle_p_count.fetch_add(1, std::memory_order_relaxed);
    }
    void hand_over(model_p* p) {
        model::require(++in_flight_ == 1, "a second wakeup is in flight");
        int m = who_.awake + who_.asleep + spares_used_;
        if (const std::uint32_t idle = idle_ms_.get(); idle != 0) {
            idle_ms_.set(idle & (idle - 1));
            m = __builtin_ctz(idle);
        } else {
            // A bound: no more Ms than the cast has.
            if (spares_used_++ == who_.spare) model::leave_out();
        }
        lock_.release();
        ms_[m].handed.set(p);
        ms_[m].wake.wake();
    }
    void wake_for_work() {
        if (handshake::wakeup_is_due(*this)) handshake::send_wakeup(world{*this});
    }

    void queue_items(int queuer) {
        for (int i = 0; i < who_.items; ++i) {
            model::settle(static_cast<std::uint64_t>(i));
            item* work = &items_[queuer * who_.items + i];
            if (who_.outside) {
                lock_.acquire();
                const std::uint32_t n = global_count_.get();
                global_[n] = work;
                global_count_.set(n + 1);
                global_size_.store(n + 1, std::memory_order_relaxed);
                lock_.release();
            } else if (i > 0 || queuer >= who_.begun) {
                model::require(ps_[queuer].queue.push(work), "the play has too many items");
            }
            wake_for_work();
        }
    }

    // An M's life, from when it has a P or has just given it up.
    void run(model_m& m) {
        for (;;) {
            bool seen = false;
            if (m.cpu != nullptr) {
                model::settle(model::mix(model::to_word(m.cpu), m.spinning));
                if (item* work = find(m)) {
                    if (m.spinning) {
                        m.spinning = false;
                        handshake::stop_spinning(world{*this, &m});
                    }
                    ++work->times_run;
                    if (!who_.short_work) return;
                    continue;
                }
                seen = wrong_ == mistake::looks_before_giving_up && sees_work();
                if (!handshake::give_up_p(world{*this, &m}, m.spinning)) continue;
                m.spinning = false;
            }
            if (wrong_ != mistake::looks_before_giving_up && wrong_ != mistake::sleeps_without_look)
                seen = sees_work();
            if (seen && handshake::come_back(world{*this, &m})) {
                m.spinning = true;
                continue;
            }
            lock_.acquire();
            idle_ms_.set(idle_ms_.get() | 1u << m.id);
            lock_.release();
            take_handed(m);
        }
    }
    void take_handed(model_m& m) {
        m.wake.sleep();
        --in_flight_;
        m.cpu = m.handed.get();
        m.spinning = true;
    }
    // Spinners are at most half of the busy Ps. Not asked where that takes more time than it shows.
    bool is_crowded() const {
        if (who_.gave_up) return false;
        const std::uint32_t busy = static_cast<std::uint32_t>(procs_) -
                                   idle_p_count.load(std::memory_order_relaxed);
        return 2 * spinning.load(std::memory_order_relaxed) >= busy;
    }
    item* find(model_m& m) {
        if (item* work = m.cpu->queue.pop(false)) return work;
        if (item* work = take_global()) return work;
        if (!m.spinning) {
            if (is_crowded()) return nullptr;
            handshake::start_spinning(world{*this, &m});
            m.spinning = true;
        }
        for (int p = 0; p < procs_ && !who_.outside; ++p) {
            if (&ps_[p] == m.cpu) continue;
            if (item* work = ps_[p].queue.steal(m.cpu->queue)) return work;
        }
        return take_global();
    }
    item* take_global() {
        if (!who_.outside) return nullptr;
        if (global_size_.load(std::memory_order_relaxed) == 0) return nullptr;
        lock_.acquire();
        item* work = nullptr;
        if (const std::uint32_t n = global_count_.get(); n != 0) {
            work = global_[n - 1];
            global_count_.set(n - 1);
            global_size_.store(n - 1, std::memory_order_relaxed);
        }
        lock_.release();
        return work;
    }
    bool sees_work() {
        if (who_.outside) return global_size_.load(std::memory_order_relaxed) != 0;
        for (int p = 0; p < procs_; ++p) {
            if (!ps_[p].queue.ring_empty()) return true;
        }
        return false;
    }

    const cast who_;
    const mistake wrong_;
    int procs_ = 0;
    model_p ps_[k_most];
    model_m ms_[k_most];
    item items_[k_most];
    model::mutex lock_;
    // Guarded by lock_. The sets are bits by id.
    model::plain<std::uint32_t> idle_ps_, idle_ms_, global_count_;
    item* global_[k_most] = {};
    int spares_used_ = 0;
    base::atomic<std::uint32_t> global_size_;
    // Wakeups that were sent and have not been taken. Which steps were taken decides it.
    int in_flight_ = 0;
};

constexpr cast k_casts[] = {
    {"a queuer and an M that goes to sleep", 1, false, 1, 1, 0, 1, false, cast::one},
    {"the same on the real queue, short work", 1, false, 1, 1, 0, 1, true, cast::real},
    {"a queuer of two and two that sleep", 1, false, 2, 0, 2, 2, false, cast::two},
    {"a queuer, an M that goes to sleep, one that sleeps", 1, false, 1, 1, 1, 1, false, cast::one},
    {"two queuers and one that sleeps", 2, false, 1, 0, 1, 1, false, cast::one},
    {"two queuers and two that sleep", 2, false, 1, 0, 2, 1, false, cast::one},
    {"a queuer from outside and an M that goes to sleep", 1, true, 1, 1, 0, 1, false, cast::one},
    {"two from outside and one that sleeps, short work", 2, true, 1, 0, 1, 1, true, cast::one},
    {"two queuers and one that sleeps, short work", 2, false, 1, 0, 1, 1, true, cast::one},
    {"two queuers and an M that has given up, short work", 2, false, 1, 1, 0, 0, true, cast::one, 1,
     true},
};

template <class Queue>
model::result explore_play(const cast& who, mistake wrong, const model::options& how) {
    std::optional<play<Queue>> now;
    return model::explore([&] { return &now.emplace(who, wrong); }, how);
}

model::result explore_cast(const cast& who, mistake wrong, const char* weakened = nullptr) {
    model::options how;
    how.weakened_function = weakened;
    switch (who.queue) {
        case cast::one: return explore_play<slots<1>>(who, wrong, how);
        case cast::two: return explore_play<slots<2>>(who, wrong, how);
        case cast::real: break;
    }
    return explore_play<ring>(who, wrong, how);
}

// Whether the cast shows the mistake.
bool is_found(const char* name, const cast& who, mistake wrong, const char* weakened = nullptr) {
    const model::result r = explore_cast(who, wrong, weakened);
    std::printf("%s: after %lu executions with %s: %s\n", name,
                static_cast<unsigned long>(r.executions), who.name,
                r.failure.substr(0, r.failure.find('\n')).c_str());
    // The mistake itself shows, not the limits of the play.
    return !r.failure.empty() && r.failure.find("the play has") == std::string::npos &&
           (weakened == nullptr || r.weakened != 0);
}

}  // namespace

TEST_CASE("handshake: no wakeup is lost and one is in flight, in every interleaving") {
    for (const cast& who : k_casts) {
        CAPTURE(who.name);
        const model::result r = explore_cast(who, mistake::none);
        std::printf("%s: %lu executions, %lu states, %lu ends, %lu left out\n", who.name,
                    static_cast<unsigned long>(r.executions), static_cast<unsigned long>(r.states),
                    static_cast<unsigned long>(r.ends), static_cast<unsigned long>(r.left_out));
        CHECK(r.failure == "");
        CHECK(r.complete);
        CHECK(r.ends > 1);
        CHECK(r.executions > 100);
    }
}

TEST_CASE("handshake: what breaks it is found") {
    const cast& simple = k_casts[0];
    const cast& queuer_of_two = k_casts[2];
    const cast& two_asleep = k_casts[5];
    const cast& given_up = k_casts[9];
    CHECK(is_found("no fence of the queuer's", simple, mistake::none, "wakeup_is_due"));
    CHECK(is_found("no fence of the sleeper's", simple, mistake::none, "give_up_p"));
    CHECK(is_found("looks before giving up", simple, mistake::looks_before_giving_up));
    CHECK(is_found("sleeps without a look", simple, mistake::sleeps_without_look));
    CHECK(is_found("the last spinner wakes no next", queuer_of_two, mistake::wakes_no_next));
    CHECK(is_found("claims always", two_asleep, mistake::claims_always));
    CHECK(is_found("drops its claim late", given_up, mistake::drops_claim_late));
}
