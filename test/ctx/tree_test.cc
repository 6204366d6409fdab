// SPDX-License-Identifier: MIT
// Trees of contexts: how they are cancelled, and what is left of them.
#include <atomic>
#include <memory>
#include <optional>
#include <stop_token>
#include <thread>
#include <vector>

#include <pirn/context.h>

#include "ctx/node.h"
#include "runtime/sched.h"
#include "test/chan/verdict.h"
#include "test/ctx/own.h"
#include "test/support/pending.h"

using namespace pirn::test;
using namespace std::chrono_literals;
using pirn::background;
using pirn::cancelable;
using pirn::context;
using pirn::context_errc;
using pirn::recv_status;
using pirn::with_cancel;
using pirn::with_timeout;
using pirn::with_value;

namespace {

inline constexpr pirn::context_key<int> k_number;

// How many are in the list of a context.
int linked(const context& c) {
    auto* n = pirn::detail::as_cancel(c.node());
    const pirn::rt::lock_guard hold(n->mu);
    int count = 0;
    for (const auto* l = n->listeners; l != nullptr; l = l->next) ++count;
    return count;
}

}  // namespace

TEST_CASE("X13 a child leaves its parent when it is cancelled, and when it is dropped") {
    in_run([](verdict& v) {
        auto [parent, cancel_parent] = with_cancel(background());
        for (int i = 0; i < at_full_speed(100'000); ++i) {
            auto [child, cancel] = with_cancel(parent);
            if (i % 2 == 0) cancel();
            if (i % 1000 == 0) EXPECT(linked(parent) == (i % 2 == 0 ? 0 : 1));
        }
        EXPECT(linked(parent) == 0);
        const context value = with_value(parent, k_number, 1);
        auto [held, cancel_held] = with_timeout(value, 1h);
        EXPECT(linked(parent) == 1);
        cancel_held();
        EXPECT(linked(parent) == 0);
    });
}

TEST_CASE("X14 wide and deep trees are cancelled at a time by many, and from within") {
    in_run([](verdict& v) {
        const int width = at_full_speed(100'000), depth = at_full_speed(10'000);
        {
            auto [root, cancel] = with_cancel(background());
            std::vector<cancelable> wide;
            for (int i = 0; i < width; ++i) wide.push_back(with_cancel(root));
            cancel();
            for (const auto& c : wide) EXPECT(c.ctx.err() == context_errc::canceled);
        }
        {
            auto [root, cancel] = with_cancel(background());
            context c = root;
            std::vector<context> some;
            for (int i = 0; i < depth; ++i) {
                c = with_cancel(c).ctx;
                if (i % 100 == 0) some.push_back(c);
            }
            const auto done = c.done();
            cancel();
            EXPECT(done.try_recv() == recv_status::closed);
            for (const context& s : some) EXPECT(s.err() == context_errc::canceled);
        }
        // Every cancel returns when all that is below it is done, whoever does it.
        for (int round = 0; round < 50; ++round) {
            std::vector<cancelable> nodes{with_cancel(background())};
            for (int i = 1; i < 64; ++i) nodes.push_back(with_cancel(nodes[(i - 1) / 2].ctx));
            crowd all;
            for (int i = 0; i < 64; i = i * 3 + 1) {
                all.go([&, i] {
                    nodes[i].cancel();
                    for (int below = i; below < 64; below = 2 * below + 1)
                        EXPECT(nodes[below].ctx.err() == context_errc::canceled);
                });
            }
            all.join();
        }
        // From functions that the tree calls.
        auto [root, cancel] = with_cancel(background());
        std::vector<cancelable> children;
        std::atomic<int> called{0};
        for (int i = 0; i < 100; ++i) {
            children.push_back(with_cancel(root));
            after_func(children.back().ctx, [&, i] {
                cancel();
                children[99 - i].cancel();
                ++called;
            });
        }
        children[50].cancel();
        UNTIL(called == 100);
        EXPECT(root.err() == context_errc::canceled);
    });
}

TEST_CASE("X15 no timer is left of a context that was cancelled, or dropped") {
    in_run([](verdict& v) {
        const auto before = pending_timers();
        std::vector<cancelable> all;
        for (int i = 0; i < 100; ++i) all.push_back(with_timeout(background(), 1h));
        EXPECT(pending_timers() == before + 100);
        for (int i = 0; i < 50; ++i) all[i].cancel();
        EXPECT(pending_timers() == before + 50);
        all.clear();
        EXPECT(pending_timers() == before);
        // Also where its time comes at the same moment.
        for (int i = 0; i < at_full_speed(2000); ++i) {
            auto [ctx, cancel] = with_timeout(background(), std::chrono::microseconds(i % 20));
            std::optional<pirn::recv_chan<void>> done;
            if (i % 3 == 0) done = ctx.done();
            pirn::yield();
            if (i % 2 == 0) cancel();
        }
        UNTIL(pending_timers() == before);
    });
}

TEST_CASE("X16 users' own contexts are cancelled through, by one goroutine at the most") {
    in_run([](verdict& v) {
        const auto before = pirn::num_goroutine();
        {
            auto [outer, cancel] = with_cancel(background());
            const context own = passing_on(outer);
            std::vector<cancelable> children;
            for (int i = 0; i < 10; ++i) children.push_back(with_cancel(own));
            EXPECT(pirn::num_goroutine() == before);
            EXPECT(linked(outer) == 10);
            cancel();
            for (const auto& c : children) EXPECT(c.ctx.err() == context_errc::canceled);
        }
        for (const bool done_first : {false, true}) {
            const auto own = std::make_shared<by_itself>();
            {
                const context ctx(own);
                EXPECT(ctx == context(own));
                auto [left, cancel_left] = with_cancel(context(own));
                EXPECT(pirn::num_goroutine() == before + 1);
                auto [right, cancel_right] = with_timeout(ctx, 1h);
                EXPECT(pirn::num_goroutine() == before + 1);
                cancel_left();
                if (done_first) {
                    own->finish(std::errc::broken_pipe);
                    right.done().recv();
                    EXPECT(right.err() == context_errc::canceled);
                    try {
                        std::rethrow_exception(cause(right));
                    } catch (const std::system_error& e) {
                        EXPECT(e.code() == std::errc::broken_pipe);
                    }
                    EXPECT(with_cancel(ctx).ctx.err() == context_errc::canceled);
                } else {
                    cancel_right();
                }
                UNTIL(pirn::num_goroutine() == before);
            }
            EXPECT(own.use_count() == 1);
        }
        // Its goroutine comes and goes with what there is to cancel.
        const context again(std::make_shared<by_itself>());
        for (int i = 0; i < 200; ++i) {
            auto [child, cancel] = with_cancel(again);
            // The one before may still be on its way out.
            EXPECT(pirn::num_goroutine() <= before + 2);
            if (i % 2 == 0) cancel();
        }
        UNTIL(pirn::num_goroutine() == before);
    });
}

TEST_CASE("X19 after_func runs once, in its own goroutine, unless it is stopped") {
    in_run([](verdict& v) {
        auto [ctx, cancel] = with_cancel(background());
        std::atomic<int> first{0}, second{0}, third{0};
        const auto own = std::make_shared<int>(0);
        const auto main_id = pirn::goroutine_id();
        std::atomic<std::uint64_t> id{0};
        const auto stop_first = after_func(ctx, [&, own] { ++first; id = pirn::goroutine_id(); });
        const auto stop_second = after_func(ctx, [&, own] { ++second; });
        after_func(with_value(ctx, k_number, 1), [&, own] { ++third; });
        EXPECT(stop_second());
        EXPECT(!stop_second());
        cancel();
        EXPECT(!stop_first());
        UNTIL(first == 1 && third == 1);
        EXPECT(id != main_id);
        // At once where it is done already.
        const auto stop_late = after_func(ctx, [&, own] { ++first; });
        EXPECT(!stop_late());
        UNTIL(first == 2);
        // Never where nothing can cancel it.
        {
            const auto stop = after_func(background(), [&, own] { ++second; });
            EXPECT(stop());
            EXPECT(!stop());
            after_func(with_cancel(background()).ctx, [&, own] { ++second; });
        }
        // Of one that nobody refers to, but for its deadline.
        after_func(with_timeout(background(), 1ms).ctx, [&, own] { ++third; });
        UNTIL(third == 2);
        EXPECT(second == 0);
    });
}

TEST_CASE("X19 a function is called exactly if stop says that it was not prevented") {
    on_procs([](int procs) {
        verdict v;
        pirn::run([&] {
            std::optional<cancelable> c;
            pirn::stop_func stop;
            std::atomic<int> calls{0};
            bool prevented = false;
            duel(at_full_speed(2000), seed("after_func"),
                 [&] {
                     c = with_cancel(background());
                     calls = 0;
                     stop = after_func(c->ctx, [&] { ++calls; });
                 },
                 [&] { c->cancel(); }, [&] { prevented = stop(); },
                 [&] {
                     if (!prevented) UNTIL(calls == 1);
                     EXPECT(calls == (prevented ? 0 : 1));
                 });
        }, {.procs = procs});
        CHECK(v.text() == "");
    });
}

TEST_CASE("X21 cancel does not wait for what the context was given to") {
    in_run([](verdict& v) {
        auto [ctx, cancel] = with_cancel(background());
        const auto go_on = pirn::make_chan<void>();
        std::atomic<bool> ended{false};
        after_func(ctx, [&] {
            go_on.recv();
            ended = true;
        });
        cancel();
        EXPECT(!ended);
        go_on.send();
        UNTIL(ended.load());
    });
}

TEST_CASE("X22 handles are dropped in any order") {
    in_run([](verdict& v) {
        for (int order = 0; order < 24; ++order) {
            std::optional<cancelable> parent = with_cancel(background());
            std::optional<cancelable> child = with_timeout(parent->ctx, 1h);
            std::optional<context> value = with_value(child->ctx, k_number, 1);
            std::optional<pirn::recv_chan<void>> done = value->done();
            pirn::cancel_func cancel = parent->cancel;
            int left[4] = {0, 1, 2, 3};
            for (int n = 4, code = order; n > 0; --n) {
                std::swap(left[code % n], left[n - 1]);
                code /= n;
                switch (left[n - 1]) {
                    case 0: parent.reset(); break;
                    case 1: child.reset(); break;
                    case 2: value.reset(); break;
                    case 3: done.reset(); break;
                }
            }
            cancel();
        }
        // A channel outlives all that could be asked, and is closed still.
        auto [root, cancel] = with_cancel(background());
        const auto done = with_cancel(with_cancel(root).ctx).ctx.done();
        EXPECT(done.try_recv() == recv_status::empty);
        cancel();
        EXPECT(done.try_recv() == recv_status::closed);
        EXPECT(linked(root) == 0);
    });
}

TEST_CASE("X22 a child is dropped while its parent is cancelled") {
    on_procs([](int procs) {
        verdict v;
        pirn::run([&] {
            std::optional<cancelable> parent, child;
            std::optional<pirn::recv_chan<void>> done;
            int round = 0;
            duel(at_full_speed(4000), seed("drop"),
                 [&] {
                     parent = with_cancel(background());
                     child = round % 2 == 0 ? with_cancel(parent->ctx)
                                            : with_timeout(parent->ctx, 3us);
                     done = std::nullopt;
                     if (++round % 3 == 0) done = child->ctx.done();
                 },
                 [&] { parent->cancel(); }, [&] { child.reset(); },
                 [&] {
                     if (done) EXPECT(done->try_recv() == recv_status::closed);
                     EXPECT(linked(parent->ctx) == 0);
                 });
        }, {.procs = procs});
        CHECK(v.text() == "");
    });
}

TEST_CASE("X23 a context from a stop_token, and a stop_token from a context") {
    in_run([](verdict& v) {
        {
            std::stop_source source;
            auto [parent, cancel] = with_cancel(background());
            const context ctx = with_stop_token(parent, source.get_token());
            const context other = with_stop_token(parent, {});
            const context child = with_cancel(ctx).ctx;
            EXPECT(is_open(child));
            source.request_stop();
            EXPECT(child.err() == context_errc::canceled);
            EXPECT(is_open(parent));
            EXPECT(with_stop_token(parent, source.get_token()).err() == context_errc::canceled);
            cancel();
            EXPECT(other.err() == context_errc::canceled);
            // By its channel alone.
            std::stop_source later;
            const auto done = with_stop_token(background(), later.get_token()).done();
            EXPECT(done.try_recv() == recv_status::empty);
            later.request_stop();
            EXPECT(done.try_recv() == recv_status::closed);
        }
        {
            auto [ctx, cancel] = with_cancel(background());
            const std::stop_token token = stop_token_of(with_value(ctx, k_number, 1));
            EXPECT(token.stop_possible());
            int called = 0;
            const std::stop_callback callback(token, [&, cancel = cancel] {
                // Everything is cancelled by now, and more of it does no harm.
                cancel();
                EXPECT(ctx.err() == context_errc::canceled);
                ++called;
            });
            EXPECT(!token.stop_requested());
            cancel();
            EXPECT(token.stop_requested());
            EXPECT(called == 1);
            EXPECT(stop_token_of(ctx).stop_requested());
            EXPECT(!stop_token_of(background()).stop_possible());
            // Nothing can stop it any more.
            const std::stop_token alone = stop_token_of(with_cancel(background()).ctx);
            EXPECT(!alone.stop_possible());
            auto [short_one, cancel_short] = with_timeout(background(), 1ms);
            const std::stop_token timed = stop_token_of(short_one);
            UNTIL(timed.stop_requested());
        }
    });
}

TEST_CASE("X23 a stop is requested while the context of its token is dropped") {
    on_procs([](int procs) {
        verdict v;
        pirn::run([&] {
            std::optional<std::stop_source> source;
            std::optional<context> ctx;
            std::optional<pirn::recv_chan<void>> done;
            int round = 0;
            duel(at_full_speed(2000), seed("stop"),
                 [&] {
                     source.emplace();
                     ctx = with_stop_token(background(), source->get_token());
                     done = std::nullopt;
                     if (++round % 2 == 0) done = ctx->done();
                 },
                 [&] { source->request_stop(); }, [&] { ctx.reset(); },
                 [&] {
                     if (done) EXPECT(done->try_recv() == recv_status::closed);
                 });
        }, {.procs = procs});
        CHECK(v.text() == "");
    });
}
