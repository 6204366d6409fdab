// SPDX-License-Identifier: MIT
// Gates of locks: the owner may be another goroutine, and what is held is counted.
#include "test/runtime/gates_test.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <functional>
#include <mutex>
#include <shared_mutex>
#include <thread>
#include <vector>

#include <pthread.h>
#include <threads.h>

using namespace pirn;
using namespace pirn::test;

#ifdef PIRN_SPLIT

namespace {

// A thread that has taken something, and gives it back when it is released.
class holder {
  public:
    holder(std::function<void()> take, std::function<void()> give)
        : thread_([this, take = std::move(take), give = std::move(give)] {
              take();
              taken_ = true;
              while (!released_) std::this_thread::sleep_for(1ms);
              give();
          }) {
        while (!taken_) std::this_thread::sleep_for(1ms);
    }
    ~holder() {
        release();
        thread_.join();
    }
    void release() { released_ = true; }

  private:
    std::atomic<bool> taken_{false}, released_{false};
    std::thread thread_;
};

// By name: a call through a pointer goes past the gate.
int unlock(pthread_mutex_t& x) { return ::pthread_mutex_unlock(&x); }
int unlock(pthread_rwlock_t& x) { return ::pthread_rwlock_unlock(&x); }
int unlock(mtx_t& x) { return ::mtx_unlock(&x); }

// A lock that is taken until the release. It is counted while it is held, and binds or not.
template <class L>
void try_lock_call(const char* name, bool binds, L& lock, const std::function<int(L&)>& take,
                   const std::function<int(L&)>& take_first) {
    holder h([&] { take_first(lock); }, [&] { unlock(lock); });
    try_call({name, [&] {
        const auto before = held();
        const int r = take(lock);
        const auto between = held();
        const int gave = unlock(lock);
        return r == 0 && gave == 0 && before == held() && between.first == before.first + 1 &&
               between.second == before.second + (binds ? 1 : 0);
    }, [&] { h.release(); }});
}

struct mutex_kind {
    const char* name;
    bool binds;
    std::function<void(pthread_mutexattr_t*)> set;
};

}  // namespace

TEST_CASE("a taken mutex lets others run, and is counted; those of a thread bind to it") {
    const mutex_kind kinds[] = {
        {"plain mutex", false, [](pthread_mutexattr_t*) {}},
        {"adaptive mutex", false, [](pthread_mutexattr_t* a) {
            ::pthread_mutexattr_settype(a, PTHREAD_MUTEX_ADAPTIVE_NP);
        }},
        {"shared mutex", false, [](pthread_mutexattr_t* a) {
            ::pthread_mutexattr_setpshared(a, PTHREAD_PROCESS_SHARED);
        }},
        {"recursive mutex", true, [](pthread_mutexattr_t* a) {
            ::pthread_mutexattr_settype(a, PTHREAD_MUTEX_RECURSIVE);
        }},
        {"error-checking mutex", true, [](pthread_mutexattr_t* a) {
            ::pthread_mutexattr_settype(a, PTHREAD_MUTEX_ERRORCHECK);
        }},
        {"robust mutex", true, [](pthread_mutexattr_t* a) {
            ::pthread_mutexattr_setrobust(a, PTHREAD_MUTEX_ROBUST);
        }},
        {"priority-inheriting mutex", true, [](pthread_mutexattr_t* a) {
            ::pthread_mutexattr_setprotocol(a, PTHREAD_PRIO_INHERIT);
        }},
    };
    for (const mutex_kind& kind : kinds) {
        pthread_mutexattr_t a;
        ::pthread_mutexattr_init(&a);
        kind.set(&a);
        pthread_mutex_t m;
        const int made = ::pthread_mutex_init(&m, &a);
        if (made == ENOTSUP || made == ENOSYS) continue;  // an emulator has not all of them
        REQUIRE(made == 0);
        const auto lock = [](pthread_mutex_t& x) { return ::pthread_mutex_lock(&x); };
        try_lock_call<pthread_mutex_t>(kind.name, kind.binds, m, lock, lock);
        try_lock_call<pthread_mutex_t>("pthread_mutex_timedlock", kind.binds, m,
            [](pthread_mutex_t& x) {
                const timespec until = after(20s);
                return ::pthread_mutex_timedlock(&x, &until);
            }, lock);
        if (std::strstr(kind.name, "priority") == nullptr)
            try_lock_call<pthread_mutex_t>("pthread_mutex_clocklock", kind.binds, m,
                [](pthread_mutex_t& x) {
                    const timespec until = after(20s, CLOCK_MONOTONIC);
                    return ::pthread_mutex_clocklock(&x, CLOCK_MONOTONIC, &until);
                }, lock);
        ::pthread_mutex_destroy(&m);
    }
    mtx_t c;
    ::mtx_init(&c, mtx_timed | mtx_recursive);
    const auto lock = [](mtx_t& x) { return ::mtx_lock(&x); };
    try_lock_call<mtx_t>("mtx_lock", true, c, lock, lock);
    try_lock_call<mtx_t>("mtx_timedlock", true, c, [](mtx_t& x) {
        const timespec until = after(20s);
        return ::mtx_timedlock(&x, &until);
    }, lock);
}

TEST_CASE("a taken rwlock lets others run, and binds to the thread") {
    using rwlock = pthread_rwlock_t;
    rwlock l = PTHREAD_RWLOCK_INITIALIZER;
    const std::function<int(rwlock&)> write = [](rwlock& x) { return ::pthread_rwlock_wrlock(&x); };
    const std::function<int(rwlock&)> read = [](rwlock& x) { return ::pthread_rwlock_rdlock(&x); };
    const auto timed = [](auto lock) -> std::function<int(rwlock&)> {
        return [lock](rwlock& x) {
            const timespec until = after(20s);
            return lock(&x, &until);
        };
    };
    const auto clocked = [](auto lock) -> std::function<int(rwlock&)> {
        return [lock](rwlock& x) {
            const timespec until = after(20s, CLOCK_MONOTONIC);
            return lock(&x, CLOCK_MONOTONIC, &until);
        };
    };
    const auto try_rwlock = [&](const char* name, const std::function<int(rwlock&)>& take,
                                const std::function<int(rwlock&)>& first) {
        try_lock_call<rwlock>(name, true, l, take, first);
    };
    try_rwlock("pthread_rwlock_rdlock", read, write);
    try_rwlock("pthread_rwlock_wrlock", write, read);
    try_rwlock("pthread_rwlock_timedrdlock", timed([](rwlock* x, const timespec* until) {
        return ::pthread_rwlock_timedrdlock(x, until);
    }), write);
    try_rwlock("pthread_rwlock_timedwrlock", timed([](rwlock* x, const timespec* until) {
        return ::pthread_rwlock_timedwrlock(x, until);
    }), read);
    try_rwlock("pthread_rwlock_clockrdlock",
               clocked([](rwlock* x, clockid_t c, const timespec* u) {
        return ::pthread_rwlock_clockrdlock(x, c, u);
    }), write);
    try_rwlock("pthread_rwlock_clockwrlock",
               clocked([](rwlock* x, clockid_t c, const timespec* u) {
        return ::pthread_rwlock_clockwrlock(x, c, u);
    }), read);
}

namespace {

// A lock that nobody has: taken by one function, tried in vain, and given back by another.
struct free_lock {
    const char* name;
    bool binds;
    std::function<int()> take, give;
};

void try_free_lock(const free_lock& lock) {
    using counts = std::pair<unsigned, unsigned>;
    counts before, between, after_all;
    int took = -1, gave = -1;
    run([&] {
        std::atomic<bool> done{false};
        go([&] {
            before = held();
            took = lock.take();
            between = held();
            gave = lock.give();
            after_all = held();
            done = true;
        });
        wait_until([&] { return done.load(); });
    }, {.procs = 1});
    CAPTURE(lock.name);
    CHECK(took == 0);
    CHECK(gave == 0);
    CHECK(between == counts(before.first + 1, before.second + (lock.binds ? 1 : 0)));
    CHECK(after_all == before);
}

}  // namespace

TEST_CASE("locks that are free are taken at once, counted, and given back") {
    pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_t recursive = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
    pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER;
    mtx_t plain;
    ::mtx_init(&plain, mtx_timed);
    FILE* f = std::tmpfile();
    REQUIRE(f != nullptr);
    const timespec until = after(20s), until_mono = after(20s, CLOCK_MONOTONIC);
    const auto unlock_m = [&] { return ::pthread_mutex_unlock(&m); };
    const auto unlock_rw = [&] { return ::pthread_rwlock_unlock(&rw); };
    const auto unlock_plain = [&] { return ::mtx_unlock(&plain); };
    const auto unlock_f = [&] {
        ::funlockfile(f);
        return 0;
    };
    const free_lock locks[] = {
        {"pthread_mutex_lock", false, [&] { return ::pthread_mutex_lock(&m); }, unlock_m},
        {"pthread_mutex_trylock", false, [&] { return ::pthread_mutex_trylock(&m); }, unlock_m},
        {"pthread_mutex_trylock, recursive", true,
         [&] { return ::pthread_mutex_trylock(&recursive); },
         [&] { return ::pthread_mutex_unlock(&recursive); }},
        {"pthread_mutex_timedlock", false,
         [&] { return ::pthread_mutex_timedlock(&m, &until); }, unlock_m},
        {"pthread_mutex_clocklock", false,
         [&] { return ::pthread_mutex_clocklock(&m, CLOCK_MONOTONIC, &until_mono); }, unlock_m},
        {"pthread_mutex_unlock", true, [&] { return ::pthread_mutex_lock(&recursive); },
         [&] { return ::pthread_mutex_unlock(&recursive); }},
        {"mtx_lock", false, [&] { return ::mtx_lock(&plain); }, unlock_plain},
        {"mtx_timedlock", false, [&] { return ::mtx_timedlock(&plain, &until); }, unlock_plain},
        {"mtx_trylock", false, [&] { return ::mtx_trylock(&plain); }, unlock_plain},
        {"mtx_unlock", false, [&] { return ::mtx_lock(&plain); }, unlock_plain},
        {"pthread_rwlock_rdlock", true, [&] { return ::pthread_rwlock_rdlock(&rw); }, unlock_rw},
        {"pthread_rwlock_tryrdlock", true,
         [&] { return ::pthread_rwlock_tryrdlock(&rw); }, unlock_rw},
        {"pthread_rwlock_timedrdlock", true,
         [&] { return ::pthread_rwlock_timedrdlock(&rw, &until); }, unlock_rw},
        {"pthread_rwlock_clockrdlock", true,
         [&] { return ::pthread_rwlock_clockrdlock(&rw, CLOCK_MONOTONIC, &until_mono); },
         unlock_rw},
        {"pthread_rwlock_wrlock", true, [&] { return ::pthread_rwlock_wrlock(&rw); }, unlock_rw},
        {"pthread_rwlock_trywrlock", true,
         [&] { return ::pthread_rwlock_trywrlock(&rw); }, unlock_rw},
        {"pthread_rwlock_timedwrlock", true,
         [&] { return ::pthread_rwlock_timedwrlock(&rw, &until); }, unlock_rw},
        {"pthread_rwlock_clockwrlock", true,
         [&] { return ::pthread_rwlock_clockwrlock(&rw, CLOCK_MONOTONIC, &until_mono); },
         unlock_rw},
        {"pthread_rwlock_unlock", true, [&] { return ::pthread_rwlock_wrlock(&rw); }, unlock_rw},
        {"flockfile", true, [&] {
            ::flockfile(f);
            return 0;
        }, unlock_f},
        {"ftrylockfile", true, [&] { return ::ftrylockfile(f); }, unlock_f},
        {"funlockfile", true, [&] { return ::ftrylockfile(f); }, unlock_f},
    };
    for (const free_lock& lock : locks) try_free_lock(lock);
    std::fclose(f);
    ::mtx_destroy(&plain);
}

TEST_CASE("locks that are tried in vain are not counted") {
    pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
    pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER;
    mtx_t plain;
    ::mtx_init(&plain, mtx_plain);
    FILE* f = std::tmpfile();
    REQUIRE(f != nullptr);
    // Another thread has them all.
    holder h([&] {
        ::pthread_mutex_lock(&m);
        ::pthread_rwlock_wrlock(&rw);
        ::mtx_lock(&plain);
        ::flockfile(f);
    }, [&] {
        ::pthread_mutex_unlock(&m);
        ::pthread_rwlock_unlock(&rw);
        ::mtx_unlock(&plain);
        ::funlockfile(f);
    });
    const timespec past{};
    std::vector<int> results;
    std::pair<unsigned, unsigned> before, after_all;
    run([&] {
        std::atomic<bool> done{false};
        go([&] {
            before = held();
            results = {::pthread_mutex_trylock(&m), ::pthread_rwlock_tryrdlock(&rw),
                       ::pthread_rwlock_trywrlock(&rw), ::mtx_trylock(&plain),
                       ::pthread_mutex_timedlock(&m, &past),
                       ::pthread_rwlock_timedrdlock(&rw, &past),
                       ::pthread_rwlock_timedwrlock(&rw, &past)};
            results.push_back(::ftrylockfile(f) != 0);
            after_all = held();
            done = true;
        });
        wait_until([&] { return done.load(); });
    }, {.procs = 1});
    h.release();
    CHECK(results == std::vector<int>{EBUSY, EBUSY, EBUSY, thrd_busy, ETIMEDOUT, ETIMEDOUT,
                                      ETIMEDOUT, 1});
    CHECK(after_all == before);
}

TEST_CASE("a taken stream lets others run") {
    FILE* f = std::tmpfile();
    REQUIRE(f != nullptr);
    holder h([&] { ::flockfile(f); }, [&] { ::funlockfile(f); });
    try_call({"flockfile", [&] {
        ::flockfile(f);
        const bool right = held() == std::pair(1u, 1u);
        ::funlockfile(f);
        return right;
    }, [&] { h.release(); }});
    std::fclose(f);
}

TEST_CASE("locks of C++ are counted, one by one, and never below none") {
    using counts = std::vector<unsigned>;
    counts seen;
    run([&] {
        std::atomic<bool> done{false};
        go([&] {
            const auto see = [&] { seen.push_back(held().first); };
            std::mutex a, b;
            a.lock();
            see();  // 1
            b.lock();
            see();  // 2
            static_cast<void>(a.try_lock());
            see();  // 2: in vain
            b.unlock();
            see();  // 1
            a.unlock();
            see();  // 0
            a.lock();
            std::atomic<bool> unlocked{false};
            go([&] {
                a.unlock();  // by another goroutine than the locker, which holds nothing
                see();  // 0
                unlocked = true;
            });
            wait_until([&] { return unlocked.load(); });
            std::shared_mutex s;
            const unsigned before = held().first;
            {
                const std::shared_lock hold(s);
                seen.push_back(held().first - before);  // 1
            }
            seen.push_back(held().first - before);  // 0
            done = true;
        });
        wait_until([&] { return done.load(); });
    }, {.procs = 1});
    CHECK(seen == counts{1, 2, 2, 1, 0, 0, 1, 0});
}

TEST_CASE("a std::mutex may be held across a park") {
    std::atomic<bool> released{false}, got_it{false};
    run([&] {
        std::mutex mu;
        std::atomic<bool> holds{false}, waits{false}, done{false};
        go([&] {
            const std::lock_guard hold(mu);
            holds = true;
            wait_until([&] { return waits.load(); });
            for (int i = 0; i < 100; ++i) yield();
            released = true;
        });
        go([&] {
            wait_until([&] { return holds.load(); });
            waits = true;
            const std::lock_guard hold(mu);
            got_it = released.load();
            done = true;
        });
        wait_until([&] { return done.load(); });
    }, {.procs = 1});
    CHECK(got_it);
}

#endif
