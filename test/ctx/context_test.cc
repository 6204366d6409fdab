// SPDX-License-Identifier: MIT
// Contexts: what each operation does. Trees of them, and races, are in tree_test.cc.
#include <map>
#include <optional>
#include <string>
#include <thread>

#include <pirn/context.h>
#include <pirn/select.h>
#include <pirn/time.h>

#include "test/chan/verdict.h"
#include "test/ctx/own.h"

using namespace pirn::test;
using namespace std::chrono_literals;
using pirn::background;
using pirn::cause;
using pirn::context;
using pirn::context_errc;
using pirn::context_key;
using pirn::recv_status;
using pirn::todo;
using pirn::with_cancel;
using pirn::with_cancel_cause;
using pirn::with_deadline;
using pirn::with_timeout;
using pirn::with_value;
using steady = pirn::clock;

namespace {

inline constexpr context_key<std::string> k_name{"name"};
inline constexpr context_key<int> k_first, k_second;

template <class Key, class Value>
concept takes_value = requires(const context& c, const Key& key, Value v) {
    with_value(c, key, v);
    c.value(key);
};

}  // namespace

TEST_CASE("X01 the background is never done, and has neither deadline nor values") {
    in_run([](verdict& v) {
        for (const context& c : {background(), todo()}) {
            EXPECT(!c.done());
            EXPECT(!c.err());
            EXPECT(!c.deadline());
            EXPECT(c.value(k_name) == nullptr);
            EXPECT(cause(c) == nullptr);
        }
        EXPECT(background() == background());
        EXPECT(background() != todo());
        EXPECT(to_string(background()) == "context.Background");
        EXPECT(to_string(todo()) == "context.TODO");
    });
}

TEST_CASE("X02 cancel closes done and sets err, once, from any goroutine or thread") {
    in_run([](verdict& v) {
        for (int where = 0; where < 3; ++where) {
            auto [ctx, cancel] = with_cancel(background());
            EXPECT(is_open(ctx));
            EXPECT(!ctx.err());
            crowd others;
            std::thread thread;
            if (where == 0) cancel();
            if (where == 1) others.go([cancel = cancel] { cancel(); });
            if (where == 2) thread = std::thread([cancel = cancel] { cancel(); });
            EXPECT(!ctx.done().recv());
            EXPECT(ctx.err() == context_errc::canceled);
            EXPECT(ctx.err().message() == "context canceled");
            cancel();
            cancel();
            EXPECT(ctx.done().try_recv() == recv_status::closed);
            EXPECT(ctx.err() == context_errc::canceled);
            others.join();
            if (thread.joinable()) thread.join();
        }
        pirn::cancel_func none;
        none();
    });
}

TEST_CASE("X03 a child is cancelled with its parent, and not the other way round") {
    in_run([](verdict& v) {
        auto [parent, cancel_parent] = with_cancel(background());
        auto [child, cancel_child] = with_cancel(parent);
        auto [sibling, cancel_sibling] = with_cancel(parent);
        cancel_child();
        EXPECT(child.err() == context_errc::canceled);
        EXPECT(is_open(parent));
        EXPECT(is_open(sibling));
        cancel_parent();
        EXPECT(sibling.err() == context_errc::canceled);
        EXPECT(sibling.done().try_recv() == recv_status::closed);
    });
}

TEST_CASE("X04 cancellation and deadlines reach through layers of values and users' contexts") {
    in_run([](verdict& v) {
        for (const bool by_timeout : {false, true}) {
            auto [root, cancel] = by_timeout ? with_timeout(background(), 20ms)
                                             : with_cancel(background());
            context c = root;
            for (int i = 0; i < 30; ++i) {
                if (i % 3 == 0) c = with_value(c, k_first, i);
                if (i % 3 == 1) c = passing_on(c);
                if (i % 3 == 2) c = with_cancel(c).ctx;
            }
            EXPECT(is_open(c));
            EXPECT(c.deadline().has_value() == by_timeout);
            EXPECT(*c.value(k_first) == 27);
            if (!by_timeout) {
                cancel();
                EXPECT(c.err() == context_errc::canceled);
            }
            c.done().recv();
            EXPECT(c.err() == (by_timeout ? context_errc::deadline_exceeded
                                          : context_errc::canceled));
        }
    });
}

TEST_CASE("X05 a deadline ends a context at its time, a parent's earlier one before") {
    in_run([](verdict& v) {
        const auto start = steady::now();
        auto [early, cancel_early] = with_deadline(background(), start + 10ms);
        auto [late, cancel_late] = with_timeout(early, 1h);
        EXPECT(early.deadline() == start + 10ms);
        EXPECT(late.deadline() == start + 10ms);
        auto [hour, cancel_hour] = with_timeout(background(), 1h);
        auto [other, cancel_other] = with_timeout(hour, 1us);
        EXPECT(other.deadline().value() < hour.deadline().value());
        other.done().recv();
        EXPECT(other.err() == context_errc::deadline_exceeded);
        EXPECT(is_open(hour));
        late.done().recv();
        EXPECT(steady::now() >= start + 10ms);
        EXPECT(late.err() == context_errc::deadline_exceeded);
        EXPECT(late.err().message() == "context deadline exceeded");
        EXPECT(early.err() == context_errc::deadline_exceeded);
        // One that nobody refers to but by its channel comes to its time, too.
        const auto left = with_timeout(background(), 5ms).ctx.done();
        EXPECT(!left.recv());
        auto [ever, cancel_ever] = with_timeout(background(), std::chrono::hours::max());
        EXPECT(is_open(ever));
        EXPECT(ever.deadline().has_value());
    });
}

TEST_CASE("X06 X07 a deadline that has passed, and a timeout that is not positive: done at once") {
    in_run([](verdict& v) {
        const auto expired = [&](const context& c) {
            EXPECT(c.err() == context_errc::deadline_exceeded);
            EXPECT(c.done().try_recv() == recv_status::closed);
        };
        expired(with_deadline(background(), steady::now() - 1s).ctx);
        expired(with_deadline(background(), steady::time_point::min()).ctx);
        expired(with_timeout(background(), 0s).ctx);
        expired(with_timeout(background(), -1h).ctx);
    });
}

TEST_CASE("X08 cancelled before its timeout, a context is cancelled and no more") {
    in_run([](verdict& v) {
        for (bool in_time = false; !in_time;) {
            auto [ctx, cancel] = with_timeout(background(), 5ms);
            auto [child, cancel_child] = with_timeout(ctx, 1h);
            cancel();
            in_time = steady::now() < ctx.deadline();
            if (!in_time) continue;
            EXPECT(ctx.err() == context_errc::canceled);
            pirn::sleep_until(*ctx.deadline() + 1ms);
            EXPECT(ctx.err() == context_errc::canceled);
            EXPECT(child.err() == context_errc::canceled);
        }
    });
}

TEST_CASE("X09 done is the same channel each time; err says nothing before it is closed") {
    in_run([](verdict& v) {
        auto [ctx, cancel] = with_cancel(background());
        const auto done = ctx.done();
        EXPECT(done == ctx.done());
        const context value = with_value(ctx, k_first, 1);
        EXPECT(value.done() == done);
        EXPECT(!ctx.err());
        cancel();
        EXPECT(done == ctx.done());
        auto [late, cancel_late] = with_cancel(ctx);
        EXPECT(late.done() == late.done());
        // Whoever sees one of the two sees the other.
        for (int i = 0; i < 200; ++i) {
            auto [raced, cancel_raced] = with_cancel(background());
            const auto channel = raced.done();
            crowd others;
            others.go([cancel = cancel_raced] { cancel(); });
            others.go([&, raced = raced] {
                UNTIL(raced.err() == context_errc::canceled);
                EXPECT(channel.try_recv() == recv_status::closed);
            });
            channel.recv();
            EXPECT(raced.err() == context_errc::canceled);
            others.join();
        }
    });
}

TEST_CASE("X10 a value is that of the nearest who has the key; keys are typed objects") {
    // A key of another type, and no key at all, do not compile.
    static_assert(takes_value<context_key<int>, int>);
    static_assert(!takes_value<context_key<int>, std::string>);
    static_assert(!takes_value<std::nullptr_t, int> && !takes_value<int, int>);
    static_assert(std::is_same_v<decltype(background().value(k_name)), const std::string*>);
    in_run([](verdict& v) {
        const context one = with_value(background(), k_first, 1);
        const context two = with_value(with_cancel(one).ctx, k_second, 2);
        const context three = with_value(two, k_first, 3);
        const context named = with_value(three, k_name, "abc");
        EXPECT(*one.value(k_first) == 1);
        EXPECT(one.value(k_second) == nullptr);
        EXPECT(*two.value(k_first) == 1);
        EXPECT(*three.value(k_first) == 3);
        EXPECT(*three.value(k_second) == 2);
        EXPECT(*named.value(k_name) == "abc");
        EXPECT(named.value(k_name) == named.value(k_name));
        EXPECT(to_string(named) ==
               "context.Background.WithValue(type int, val 1).WithCancel.WithValue(type int, val 2)"
               ".WithValue(type int, val 3).WithValue(name, val abc)");
        // Values live as long as contexts refer to them, and are destroyed once.
        static constexpr context_key<counted> k_counted;
        {
            std::optional<context> last;
            {
                const context first = with_value(background(), k_counted, counted(7));
                last = with_cancel(with_value(first, k_counted, 8)).ctx;
            }
            EXPECT(counted::values == 2);
            EXPECT(last->value(k_counted)->value == 8);
        }
        EXPECT(counted::alive == 0);
    });
}

TEST_CASE("X11 what is derived from a context that is done is done") {
    in_run([](verdict& v) {
        auto [ctx, cancel] = with_cancel(background());
        const context value = with_value(ctx, k_first, 1);
        cancel();
        EXPECT(with_cancel(ctx).ctx.err() == context_errc::canceled);
        EXPECT(with_cancel(value).ctx.done().try_recv() == recv_status::closed);
        EXPECT(with_timeout(value, 1h).ctx.err() == context_errc::canceled);
        EXPECT(with_value(value, k_second, 2).err() == context_errc::canceled);
        const context expired = with_timeout(background(), -1s).ctx;
        EXPECT(with_cancel(expired).ctx.err() == context_errc::deadline_exceeded);
    });
}

TEST_CASE("X12 nothing is derived from a nil context") {
    const context nil;
    CHECK(!nil);
    const std::string text = "cannot create context from nil parent";
    CHECK(panic_of([&] { (void)with_cancel(nil); }) == text);
    CHECK(panic_of([&] { (void)with_cancel_cause(nil); }) == text);
    CHECK(panic_of([&] { (void)with_deadline(nil, steady::now()); }) == text);
    CHECK(panic_of([&] { (void)with_timeout(nil, 1s); }) == text);
    CHECK(panic_of([&] { (void)with_value(nil, k_first, 1); }) == text);
    CHECK(panic_of([&] { (void)without_cancel(nil); }) == text);
    CHECK(panic_of([&] { (void)nil.done(); }) == "nil context");
    CHECK(!context(std::shared_ptr<pirn::context_base>()));
}

TEST_CASE("X17 the first cause wins, goes to the children, and is the error where none is given") {
    in_run([](verdict& v) {
        const auto text = [](const std::exception_ptr& p) -> std::string {
            try {
                if (p == nullptr) return "none";
                std::rethrow_exception(p);
            } catch (const std::system_error& e) {
                return e.code().message();
            } catch (const std::exception& e) {
                return e.what();
            }
        };
        const auto because = [](const char* what) {
            return std::make_exception_ptr(std::runtime_error(what));
        };
        auto [ctx, cancel] = with_cancel_cause(background());
        const context child = with_value(with_timeout(ctx, 1h).ctx, k_first, 1);
        EXPECT(text(cause(ctx)) == "none");
        cancel(because("first"));
        cancel(because("second"));
        EXPECT(ctx.err() == context_errc::canceled);
        EXPECT(text(cause(ctx)) == "first");
        EXPECT(text(cause(child)) == "first");
        EXPECT(text(cause(with_cancel(child).ctx)) == "first");

        auto [coded, cancel_coded] = with_cancel_cause(background());
        cancel_coded(std::make_error_code(std::errc::broken_pipe));
        EXPECT(text(cause(coded)) == "Broken pipe");
        auto [silent, cancel_silent] = with_cancel_cause(background());
        cancel_silent(nullptr);
        EXPECT(text(cause(silent)) == "context canceled");
        auto [plain, cancel_plain] = with_cancel(background());
        cancel_plain();
        EXPECT(text(cause(plain)) == "context canceled");
        EXPECT(text(cause(with_timeout(background(), -1s).ctx)) == "context deadline exceeded");

        const auto timed = pirn::with_timeout_cause(background(), 1ms, because("slow"));
        timed.ctx.done().recv();
        EXPECT(timed.ctx.err() == context_errc::deadline_exceeded);
        EXPECT(text(cause(timed.ctx)) == "slow");
        const auto quick = pirn::with_timeout_cause(background(), 1h, because("slow"));
        quick.cancel();
        EXPECT(text(cause(quick.ctx)) == "context canceled");
        // Its own error, not that of whoever comes later.
        auto [outer, cancel_outer] = with_cancel_cause(background());
        auto [inner, cancel_inner] = with_cancel_cause(outer);
        cancel_inner(because("inner"));
        cancel_outer(because("outer"));
        EXPECT(text(cause(inner)) == "inner");
        EXPECT(text(cause(without_cancel(outer))) == "none");
    });
}

TEST_CASE("X18 without_cancel keeps the values alone") {
    in_run([](verdict& v) {
        auto [ctx, cancel] = with_timeout(with_value(background(), k_first, 1), 1h);
        const context kept = without_cancel(ctx);
        auto [below, cancel_below] = with_cancel(kept);
        cancel();
        EXPECT(!kept.done());
        EXPECT(!kept.err());
        EXPECT(!kept.deadline());
        EXPECT(cause(kept) == nullptr);
        EXPECT(*kept.value(k_first) == 1);
        EXPECT(is_open(below));
        cancel_below();
        EXPECT(below.err() == context_errc::canceled);
        EXPECT(to_string(without_cancel(background())) == "context.Background.WithoutCancel");
    });
}

TEST_CASE("X20 the errors are those of the C++ library, too: a timeout, and something canceled") {
    CHECK(make_error_code(context_errc::deadline_exceeded) == std::errc::timed_out);
    CHECK(make_error_code(context_errc::canceled) == std::errc::operation_canceled);
    CHECK(make_error_code(context_errc::canceled) != std::errc::timed_out);
    CHECK(std::string(make_error_code(context_errc::canceled).category().name()) == "context");
}

TEST_CASE("L21 a context that is cancelled ends a select") {
    in_run([](verdict& v) {
        const auto values = pirn::make_chan<int>();
        auto [ctx, cancel] = with_cancel(background());
        crowd others;
        others.go([&, cancel = cancel] {
            values.send(1);
            UNTIL(receivers_parked(values) == 1);
            cancel();
        });
        std::optional<int> got;
        EXPECT(pirn::select(pirn::on_recv(values, got), pirn::on_recv(ctx.done())) == 0);
        EXPECT(got == 1);
        EXPECT(pirn::select(pirn::on_recv(values, got), pirn::on_recv(ctx.done())) == 1);
        EXPECT(ctx.err() == context_errc::canceled);
        EXPECT(pirn::select(pirn::on_recv(ctx.done()), pirn::otherwise()) == 0);
        // The background's done is nil: never chosen.
        EXPECT(pirn::select(pirn::on_recv(background().done()), pirn::otherwise()) == 1);
        EXPECT(is_idle(values));
        others.join();
    });
}
