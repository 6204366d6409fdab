// SPDX-License-Identifier: MIT
// Gates of calls that wait for another thread: its end, its notice, its value.
#include "test/runtime/gates_test.h"

#include <condition_variable>
#include <functional>
#include <future>
#include <mutex>
#include <system_error>
#include <thread>

#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <threads.h>

using namespace pirn;
using namespace pirn::test;

#ifdef PIRN_SPLIT

namespace {

// A thread that lives until it is released.
struct patient {
    sem_t go_on;
    pthread_t thread{};
    patient() {
        ::sem_init(&go_on, 0, 0);
        ::pthread_create(&thread, nullptr, [](void* self) -> void* {
            ::sem_wait(&static_cast<patient*>(self)->go_on);
            return self;
        }, this);
    }
    ~patient() { ::sem_destroy(&go_on); }
    patient(const patient&) = delete;
};

void try_join(const char* name, const std::function<bool(patient&)>& join) {
    patient p;
    try_call({name, [&] { return join(p); }, [&] { ::sem_post(&p.go_on); }});
}

}  // namespace

TEST_CASE("joining a thread lets others run") {
    try_join("pthread_join", [](patient& p) {
        void* result = nullptr;
        return ::pthread_join(p.thread, &result) == 0 && result == &p;
    });
    try_join("pthread_timedjoin_np", [](patient& p) {
        const timespec until = after(20s);
        return ::pthread_timedjoin_np(p.thread, nullptr, &until) == 0;
    });
    try_join("pthread_clockjoin_np", [](patient& p) {
        const timespec until = after(20s, CLOCK_MONOTONIC);
        return ::pthread_clockjoin_np(p.thread, nullptr, CLOCK_MONOTONIC, &until) == 0;
    });
    try_join("thrd_join", [](patient& p) {
        return ::thrd_join(p.thread, nullptr) == thrd_success;
    });
    std::atomic<bool> go_on{false};
    std::thread waited_for([&] {
        while (!go_on) std::this_thread::sleep_for(1ms);
    });
    try_call({"thread_join (std::thread::join)", [&] {
        waited_for.join();
        return !waited_for.joinable();
    }, [&] { go_on = true; }});
}

TEST_CASE("an exception comes through a gate") {
    std::atomic<int> caught{0};
    run([&] {
        std::atomic<bool> done{false};
        go([&] {
            std::thread none;
            try {
                none.join();
            } catch (const std::system_error& e) {
                caught = e.code().value();
            }
            done = true;
        });
        wait_until([&] { return done.load(); });
    }, {.procs = 1});
    CHECK(caught == EINVAL);
}

TEST_CASE("semaphores let others run") {
    sem_t s;
    ::sem_init(&s, 0, 0);
    const auto post = [&] { ::sem_post(&s); };
    try_all({
        {"sem_wait", [&] {
            errno = 77;
            return ::sem_wait(&s) == 0 && errno == 77;
        }, post},
        {"sem_timedwait", [&] {
            const timespec until = after(20s);
            return ::sem_timedwait(&s, &until) == 0;
        }, post},
        {"sem_timedwait, in vain", [&] {
            const timespec until = after(k_a_while);
            return ::sem_timedwait(&s, &until) == -1 && errno == ETIMEDOUT;
        }, nothing},
        {"sem_clockwait", [&] {
            const timespec until = after(20s, CLOCK_MONOTONIC);
            return ::sem_clockwait(&s, CLOCK_MONOTONIC, &until) == 0;
        }, post},
    });
    ::sem_destroy(&s);
}

TEST_CASE("condition variables let others run") {
    std::mutex mu;
    std::condition_variable cond;
    std::condition_variable_any any;
    bool set = false;
    const auto notify = [&] {
        const std::lock_guard hold(mu);
        set = true;
        cond.notify_all();
        any.notify_all();
    };
    const auto waiting = [&](auto wait) {
        return [&, wait] {
            std::unique_lock hold(mu);
            while (!set) wait(hold);
            set = false;
            return true;
        };
    };
    try_all({
        {"condition_wait (std::condition_variable::wait)", waiting([&](auto& hold) {
            cond.wait(hold);
        }), notify},
        {"wait_for", waiting([&](auto& hold) { cond.wait_for(hold, 20s); }), notify},
        {"wait_until of the system's clock", waiting([&](auto& hold) {
            cond.wait_until(hold, std::chrono::system_clock::now() + 20s);
        }), notify},
        {"std::condition_variable_any::wait", waiting([&](auto& hold) { any.wait(hold); }), notify},
        {"pthread_cond_wait", waiting([&](auto&) {
            ::pthread_cond_wait(cond.native_handle(), mu.native_handle());
        }), notify},
        {"pthread_cond_timedwait", waiting([&](auto&) {
            const timespec until = after(20s);
            ::pthread_cond_timedwait(cond.native_handle(), mu.native_handle(), &until);
        }), notify},
        {"pthread_cond_clockwait", waiting([&](auto&) {
            const timespec until = after(20s, CLOCK_MONOTONIC);
            ::pthread_cond_clockwait(cond.native_handle(), mu.native_handle(), CLOCK_MONOTONIC,
                                     &until);
        }), notify},
    });
    mtx_t plain;
    cnd_t c;
    ::mtx_init(&plain, mtx_timed);
    ::cnd_init(&c);
    const auto tell = [&] {
        ::mtx_lock(&plain);
        set = true;
        ::cnd_signal(&c);
        ::mtx_unlock(&plain);
    };
    const auto c_waiting = [&](auto wait) {
        return [&, wait] {
            ::mtx_lock(&plain);
            int r = thrd_success;
            while (!set && r == thrd_success) r = wait();
            set = false;
            ::mtx_unlock(&plain);
            return r == thrd_success;
        };
    };
    try_all({
        {"cnd_wait", c_waiting([&] { return ::cnd_wait(&c, &plain); }), tell},
        {"cnd_timedwait", c_waiting([&] {
            const timespec until = after(20s);
            return ::cnd_timedwait(&c, &plain, &until);
        }), tell},
    });
}

TEST_CASE("futures, barriers and futexes let others run") {
    std::promise<int> promise, timed;
    pthread_barrier_t barrier;
    ::pthread_barrier_init(&barrier, nullptr, 2);
    std::atomic<int> word{0};
    std::atomic<bool> thread_came{false};
    try_all({
        {"futex_wait_until (std::future::get)", [&] { return promise.get_future().get() == 5; },
         [&] { promise.set_value(5); }},
        {"futex_wait_until_steady (std::future::wait_for)", [&] {
            return timed.get_future().wait_for(20s) == std::future_status::ready;
        }, [&] { timed.set_value(5); }},
        {"pthread_barrier_wait", [&] {
            const int r = ::pthread_barrier_wait(&barrier);
            return r == 0 || r == PTHREAD_BARRIER_SERIAL_THREAD;
        }, [&] { std::thread([&] { ::pthread_barrier_wait(&barrier); }).detach(); }},
        {"syscall(SYS_futex)", [&] {
            while (word == 0)
                ::syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, nullptr, nullptr, 0);
            return true;
        }, [&] {
            word = 1;
            ::syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
        }},
        {"std::atomic::wait", [&] {
            thread_came.wait(false);
            return thread_came.load();
        }, [&] {
            thread_came = true;
            thread_came.notify_all();
        }},
    });
    ::pthread_barrier_destroy(&barrier);
}

#endif
