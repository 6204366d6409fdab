// SPDX-License-Identifier: MIT
// Waits that a context ends: sleeping, operations on channels, mutexes, groups.
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include <pirn/context.h>
#include <pirn/mutex.h>
#include <pirn/time.h>
#include <pirn/wait_group.h>

#include "ctx/node.h"
#include "runtime/sema.h"
#include "test/chan/verdict.h"
#include "test/ctx/own.h"

using namespace pirn::test;
using namespace std::chrono_literals;
using pirn::background;
using pirn::cancelable;
using pirn::chan;
using pirn::context;
using pirn::context_errc;
using pirn::make_chan;
using pirn::with_cancel;
using pirn::with_timeout;
using steady = pirn::clock;

namespace {

// Whether somebody waits for the context, or is derived from it.
bool is_waited_for(const context& c) {
    auto* n = pirn::detail::as_cancel(c.node());
    const pirn::rt::lock_guard hold(n->mu);
    return n->listeners != nullptr;
}

// Moves that may throw: boxed in a channel.
struct boxed {
    explicit boxed(std::string t) : text(std::move(t)) {}
    boxed(boxed&& other) noexcept(false) : text(std::move(other.text)) {}
    boxed& operator=(boxed&& other) noexcept(false) {
        text = std::move(other.text);
        return *this;
    }
    std::string text;
};

// Calls wait(ctx) in a goroutine and on a thread, cancels, and expects it to say so.
template <class Wait>
void expect_cancelled(verdict& v, Wait wait) {
    for (const bool on_thread : {false, true}) {
        auto [ctx, cancel] = with_cancel(background());
        std::error_code why;
        crowd others;
        std::thread thread;
        const auto body = [&, ctx = ctx] {
            const auto result = wait(ctx);
            EXPECT(!result.has_value());
            if (!result) why = result.error();
        };
        if (on_thread)
            thread = std::thread(body);
        else
            others.go(body);
        UNTIL(is_waited_for(ctx));
        cancel();
        others.join();
        if (thread.joinable()) pirn::blocking([&] { thread.join(); });
        EXPECT(why == context_errc::canceled);
        EXPECT(!is_waited_for(ctx));
        // Done already.
        const auto again = wait(ctx);
        EXPECT(!again.has_value() && again.error() == context_errc::canceled);
        const auto late = with_timeout(background(), 1ms);
        const auto expired = wait(late.ctx);
        EXPECT(!expired.has_value() && expired.error() == context_errc::deadline_exceeded);
    }
}

}  // namespace

TEST_CASE("sleeping ends when the context is done") {
    in_run([](verdict& v) {
        expect_cancelled(v, [](const context& c) { return pirn::sleep_for(1h, c); });
        expect_cancelled(v, [](const context& c) {
            return pirn::sleep_until(steady::now() + 1h, c);
        });
        expect_cancelled(v, [](const context& c) {
            return pirn::sleep_for(std::chrono::hours::max(), c);
        });
        expect_cancelled(v, [](const context& c) { return pirn::sleep_for(1h, passing_on(c)); });
        auto [ctx, cancel] = with_cancel(background());
        for (const context& c : {context(ctx), background()}) {
            const auto start = steady::now();
            EXPECT(pirn::sleep_for(2ms, c).has_value());
            EXPECT(steady::now() - start >= 2ms);
            EXPECT(pirn::sleep_for(-1s, c).has_value());
        }
        EXPECT(!is_waited_for(ctx));
    });
}

TEST_CASE("sleeping on a thread ends in time, too, and without any runtime") {
    auto [ctx, cancel] = with_cancel(background());
    const auto start = steady::now();
    CHECK(pirn::sleep_for(2ms, ctx).has_value());
    CHECK(steady::now() - start >= 2ms);
    std::thread later([&] {
        while (!is_waited_for(ctx)) std::this_thread::yield();
        cancel();
    });
    CHECK(pirn::sleep_for(1h, ctx).error() == context_errc::canceled);
    later.join();
    CHECK(make_chan<int>().recv(ctx).error() == context_errc::canceled);
}

TEST_CASE("receiving and sending end when the context is done, and nothing was sent") {
    in_run([](verdict& v) {
        const auto empty = make_chan<int>();
        const auto full = make_chan<std::string>(1);
        full.send("first");
        const auto boxes = make_chan<boxed>();
        const auto signal = make_chan<void>();
        expect_cancelled(v, [&](const context& c) { return empty.recv(c); });
        expect_cancelled(v, [&](const context& c) { return chan<int>().recv(c); });
        expect_cancelled(v, [&](const context& c) { return chan<int>().send(1, c); });
        expect_cancelled(v, [&](const context& c) { return signal.recv(c); });
        expect_cancelled(v, [&](const context& c) { return signal.send(c); });
        expect_cancelled(v, [&](const context& c) { return boxes.recv(c); });
        expect_cancelled(v, [&](const context& c) {
            std::string value = "second, too long to be stored in place";
            const auto result = full.send(std::move(value), c);
            EXPECT(value == "second, too long to be stored in place");
            return result;
        });
        expect_cancelled(v, [&](const context& c) {
            boxed value("a box's, too long to be stored in place");
            const auto result = boxes.send(std::move(value), c);
            EXPECT(value.text == "a box's, too long to be stored in place");
            return result;
        });
        EXPECT(is_idle(empty) && is_idle(full) && is_idle(boxes) && is_idle(signal));
        EXPECT(full.recv() == "first");
        EXPECT(full.len() == 0);
    });
}

TEST_CASE("receiving and sending with a context that stays do what they do without") {
    in_run([](verdict& v) {
        auto [ctx, cancel] = with_cancel(background());
        const context none = background();
        for (const context& c : {context(ctx), none}) {
            const auto ints = make_chan<int>();
            const auto boxes = make_chan<boxed>(1);
            const auto signal = make_chan<void>();
            crowd others;
            others.go([&] {
                EXPECT(ints.recv(c).value() == 1);
                EXPECT(ints.send(2, c).has_value());
                EXPECT(boxes.recv(c).value()->text == "one");
                EXPECT(signal.recv(c).value());
                ints.recv();
                ints.close();
                boxes.close();
                signal.close();
            });
            EXPECT(ints.send(1, c).has_value());
            EXPECT(ints.recv(c).value() == 2);
            EXPECT(boxes.send(boxed("one"), c).has_value());
            EXPECT(signal.send(c).has_value());
            UNTIL(receivers_parked(ints) == 1);
            EXPECT(ints.send(3, c).has_value());
            EXPECT(!ints.recv(c).value().has_value());
            EXPECT(!boxes.recv(c).value().has_value());
            EXPECT(!signal.recv(c).value());
            EXPECT(panic_of([&] { (void)ints.send(1, c); }) == "send on closed channel");
            others.join();
        }
        // Closed while they wait.
        const auto closing = make_chan<int>();
        crowd others;
        others.go([&, ctx = ctx] {
            EXPECT(panic_of([&] { (void)closing.send(1, ctx); }) == "send on closed channel");
        });
        UNTIL(senders_parked(closing) == 1);
        closing.close();
        others.join();
        EXPECT(!is_waited_for(ctx));
    });
}

TEST_CASE("locking a mutex and waiting for a group end when the context is done") {
    in_run([](verdict& v) {
        pirn::mutex m;
        pirn::wait_group group;
        m.lock();
        group.add(1);
        expect_cancelled(v, [&](const context& c) { return m.lock(c); });
        expect_cancelled(v, [&](const context& c) { return group.wait(c); });
        EXPECT(pirn::rt::sema_waiting(&m) == 0);
        EXPECT(pirn::rt::sema_waiting(&group) == 0);
        EXPECT(!m.try_lock());
        m.unlock();
        auto [ctx, cancel] = with_cancel(background());
        for (const context& c : {context(ctx), background()}) {
            EXPECT(m.lock(c).has_value());
            crowd others;
            others.go([&] {
                EXPECT(m.lock(c).has_value());
                m.unlock();
                EXPECT(group.wait(c).has_value());
            });
            UNTIL(pirn::rt::sema_waiting(&m) == 1);
            m.unlock();
            UNTIL(pirn::rt::sema_waiting(&group) == 1);
            group.done();
            others.join();
            EXPECT(group.wait(c).has_value());
            group.add(1);
        }
        EXPECT(!is_waited_for(ctx));
        group.done();
    });
}

TEST_CASE("a mutex that is cancelled for some is locked by the others") {
    in_run([](verdict& v) {
        pirn::mutex m;
        pirn::wait_group group;
        long guarded = 0;
        std::atomic<long> locked{0};
        for (int i = 0; i < 8; ++i) {
            group.go([&, i] {
                for (int n = 0; n < at_full_speed(400); ++n) {
                    auto [ctx, cancel] = with_cancel(background());
                    group.go([cancel = cancel] { cancel(); });
                    if (i % 2 == 0 && n % 4 == 0) pirn::yield();
                    if (i % 4 == 3) {
                        m.lock();
                    } else if (!m.lock(ctx)) {
                        EXPECT(ctx.err() == context_errc::canceled);
                        continue;
                    }
                    ++guarded;
                    if (n % 16 == 0) pirn::yield();
                    m.unlock();
                    ++locked;
                }
            });
        }
        auto [ctx, cancel] = with_cancel(background());
        EXPECT(group.wait(ctx).has_value());
        EXPECT(guarded == locked);
        EXPECT(locked >= 2 * at_full_speed(400));
        EXPECT(m.try_lock());
        m.unlock();
    });
}

TEST_CASE("of a value and a cancellation at the same time exactly one is seen") {
    on_procs([](int procs) {
        verdict v;
        pirn::run([&] {
            std::optional<cancelable> c;
            std::optional<chan<int>> ch;
            bool sent = false, received = false;
            int round = 0;
            const auto send = [&] { sent = ch->send(7, c->ctx).has_value(); };
            const auto receive = [&] {
                const auto got = ch->recv(c->ctx);
                received = got.has_value() && *got == 7;
            };
            crowd cancellers;
            duel(at_full_speed(3000), seed("until"),
                 [&] {
                     c = with_cancel(background());
                     ch = make_chan<int>();
                     sent = received = false;
                     // A third party.
                     if (++round % 2 == 0) cancellers.go([cancel = c->cancel] { cancel(); });
                 },
                 send, receive,
                 [&] {
                     EXPECT(sent == received);
                     EXPECT(sent || round % 2 == 0);
                     EXPECT(is_idle(*ch));
                     c->cancel();
                     EXPECT(!is_waited_for(c->ctx));
                 });
            cancellers.join();
        }, {.procs = procs});
        CHECK(v.text() == "");
    });
}

TEST_CASE("of the end of a sleep and a cancellation at the same time one is seen") {
    on_procs([](int procs) {
        verdict v;
        pirn::run([&] {
            std::optional<cancelable> c;
            int round = 0;
            duel(at_full_speed(2000), seed("sleep"), [&] { c = with_cancel(background()); },
                 [&] {
                     const auto start = steady::now();
                     const auto d = std::chrono::microseconds(round++ % 30);
                     if (pirn::sleep_for(d, c->ctx))
                         EXPECT(steady::now() - start >= d);
                     else
                         EXPECT(c->ctx.err() == context_errc::canceled);
                 },
                 [&] { c->cancel(); }, [&] { EXPECT(!is_waited_for(c->ctx)); });
        }, {.procs = procs});
        CHECK(v.text() == "");
    });
}

TEST_CASE("a run ends while goroutines wait with a context; both go on to be usable") {
    auto [ctx, cancel] = with_cancel(background());
    const auto ch = make_chan<int>();
    pirn::mutex m;
    m.lock();
    on_procs([&, &outer = ctx](int procs) {
        // Longer than the run: a goroutine may not have begun to wait when it ends.
        const context inner = with_cancel(background()).ctx, below = with_cancel(outer).ctx;
        pirn::run([&] {
            for (const context* c : std::initializer_list<const context*>{&outer, &inner, &below}) {
                pirn::go([&, c] { (void)ch.recv(*c); });
                pirn::go([c] { (void)pirn::sleep_for(1h, *c); });
                pirn::go([&, c] { (void)m.lock(*c); });
            }
            UNTIL(receivers_parked(ch) == 3);
            UNTIL(pirn::rt::sema_waiting(&m) == 3);
            UNTIL(is_waited_for(inner) && is_waited_for(outer) && is_waited_for(below));
        }, {.procs = procs});
        CHECK(is_idle(ch));
        CHECK(pirn::rt::sema_waiting(&m) == 0);
    });
    m.unlock();
    CHECK(!is_waited_for(ctx));
    cancel();
    CHECK(ctx.err() == context_errc::canceled);
}
