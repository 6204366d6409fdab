// SPDX-License-Identifier: MIT
// The waits of <pirn/sync.h> that end when a context is done: what they return and what they leave.
#include <pirn/context.h>
#include <pirn/sync.h>

#include <atomic>
#include <expected>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>

#include "runtime/sema.h"
#include "test/chan/verdict.h"

using namespace pirn::test;
using namespace std::chrono_literals;

namespace {

using result = std::expected<void, std::error_code>;

// Has wait(ctx) wait, on a goroutine and on a thread, then cancels; and calls it with a context
// that is done already, once where it would wait and once, after `open`, where it could go on.
template <class Wait, class Open>
void ends_when_done(verdict& v, const char* name, Wait wait, Open open) {
    const auto check = [&](bool ok, int line) { v.check(ok, name, line); };
    for (const bool on_thread : {false, true}) {
        auto [ctx, cancel] = pirn::with_cancel(pirn::background());
        std::optional<result> got;
        std::atomic<bool> begun{false}, ended{false};
        const auto body = [&, ctx = ctx] {
            begun = true;
            got = wait(ctx);
            ended = true;
        };
        std::thread outside;
        if (on_thread)
            outside = std::thread(body);
        else
            pirn::go(body);
        UNTIL(begun.load());
        for (int i = 0; i < 20; ++i) pirn::yield();
        pirn::sleep_for(1ms);
        check(!ended, __LINE__);
        cancel();
        UNTIL(ended.load());
        if (on_thread) outside.join();
        check(!*got && got->error() == pirn::context_errc::canceled, __LINE__);
        const result late = wait(ctx);
        check(!late && late.error() == pirn::context_errc::canceled, __LINE__);
    }
    auto [soon, end] = pirn::with_timeout(pirn::background(), 1ms);
    const result timed = wait(soon);
    check(!timed && timed.error() == pirn::context_errc::deadline_exceeded, __LINE__);
    open();
    const result late = wait(soon);
    check(!late, __LINE__);
    check(wait(pirn::background()).has_value(), __LINE__);
}

}  // namespace

TEST_CASE("locks that wait end with their context, and are as they were") {
    in_run([](verdict& v) {
        {
            pirn::mutex m;
            m.lock();
            ends_when_done(
                v, "mutex", [&](const pirn::context& c) { return m.lock(c); }, [&] { m.unlock(); });
            EXPECT(!m.try_lock());
            m.unlock();
        }
        {
            pirn::rw_mutex m;
            m.lock_shared();
            ends_when_done(
                v, "rw_mutex", [&](const pirn::context& c) { return m.lock(c); },
                [&] { m.unlock_shared(); });
            ends_when_done(
                v, "rw_mutex, shared", [&](const pirn::context& c) { return m.lock_shared(c); },
                [&] { m.unlock(); });
            // A writer that has given up keeps no reader out.
            EXPECT(m.try_lock_shared());
            m.unlock_shared();
            m.unlock_shared();
        }
        {
            pirn::recursive_mutex m;
            std::atomic<bool> locked{false}, leave{false};
            pirn::go([&] {
                m.lock();
                locked = true;
                UNTIL(leave.load());
                m.unlock();
            });
            UNTIL(locked.load());
            ends_when_done(
                v, "recursive_mutex", [&](const pirn::context& c) { return m.lock(c); },
                [&] { leave = true; });
            EXPECT(m.lock(pirn::background()).has_value());
            m.unlock();
            m.unlock();
        }
    });
}

TEST_CASE("waits for units, counts, phases and results end with their context") {
    in_run([](verdict& v) {
        pirn::semaphore s(1);
        ends_when_done(
            v, "semaphore", [&](const pirn::context& c) { return s.acquire(2, c); },
            [&] { s.release(); });
        s.release(2);
        // Who gave up stands in nobody's way.
        EXPECT(s.acquire(pirn::background()).has_value());

        pirn::latch l(1);
        ends_when_done(
            v, "latch", [&](const pirn::context& c) { return l.wait(c); },
            [&] { l.count_down(); });

        pirn::wait_group w;
        w.add(1);
        ends_when_done(
            v, "wait_group", [&](const pirn::context& c) { return w.wait(c); }, [&] { w.done(); });
        {
            // Nobody waits any more, so it may go, whatever its word has counted.
            pirn::wait_group abandoned;
            abandoned.add(1);
            auto [ctx, cancel] = pirn::with_timeout(pirn::background(), 1ms);
            EXPECT(!abandoned.wait(ctx));
        }

        pirn::chan<int> answer = pirn::make_chan<int>();
        auto f = pirn::async([=] { return *answer.recv(); });
        ends_when_done(
            v, "future", [&](const pirn::context& c) { return f.wait(c); },
            [&] { answer.send(7); });
        const auto got = f.get(pirn::background());
        EXPECT(got.has_value() && *got == 7);
        EXPECT(!f.valid());

        pirn::barrier b(2);
        auto [ctx, cancel] = pirn::with_timeout(pirn::background(), 1ms);
        const result waited = b.wait(b.arrive(), ctx);
        EXPECT(!waited && waited.error() == pirn::context_errc::deadline_exceeded);
        // The arrival stands.
        b.arrive_and_wait();
    });
}

TEST_CASE("a wait on a cond ends with its context, with the lock") {
    in_run([](verdict& v) {
        pirn::mutex m;
        pirn::cond c;
        bool ready = false;
        ends_when_done(
            v, "cond",
            [&](const pirn::context& ctx) -> result {
                const std::lock_guard hold(m);
                const result r = c.wait(m, [&] { return ready; }, ctx);
                if (m.try_lock()) EXPECT(false);
                return r;
            },
            [&] {
                const std::lock_guard hold(m);
                ready = true;
            });
    });
}

TEST_CASE("cancelling races with what is waited for: it is had, or not, and never lost") {
    in_run([](verdict& v) {
        const int rounds = at_full_speed(400);
        pirn::semaphore s(0);
        pirn::mutex m;
        pirn::cond c;
        for (int i = 0; i < rounds; ++i) {
            auto [ctx, cancel] = pirn::with_cancel(pirn::background());
            std::atomic<int> acquired{0}, ended{0}, notified{0};
            for (int k = 0; k < 2; ++k) {
                pirn::go([&, ctx = ctx] {
                    if (s.acquire(ctx)) ++acquired;
                    ++ended;
                });
                pirn::go([&, ctx = ctx] {
                    const std::lock_guard hold(m);
                    if (c.wait(m, ctx)) ++notified;
                    ++ended;
                });
            }
            for (int k = 0; k < i % 5; ++k) pirn::yield();
            pirn::go([&] {
                s.release();
                ++ended;
            });
            pirn::go([&] {
                c.notify_one();
                ++ended;
            });
            cancel();
            UNTIL(ended == 6);
            // The unit is with one of them, or there still.
            EXPECT(acquired <= 1);
            EXPECT(s.try_acquire() == (acquired == 0));
            EXPECT(notified <= 1);
        }
        EXPECT(pirn::rt::sema_waiting(&c) == 0);
    });
}
