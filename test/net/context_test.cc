// SPDX-License-Identifier: MIT
// Contexts in io: each call that blocks ends with its context, and loses nothing by that.
#include <cstdint>
#include <optional>
#include <thread>
#include <vector>

#include <pirn/context.h>

#include "test/net/net_test.h"

using namespace net_test;

namespace {

const std::error_code k_canceled = make_error_code(pirn::context_errc::canceled);
const std::error_code k_too_late = make_error_code(pirn::context_errc::deadline_exceeded);

template <class T>
bool fails_with(const std::expected<T, std::error_code>& result, std::error_code error) {
    return !result.has_value() && result.error() == error;
}

// Writes until the kernel takes no more.
void fill(verdict& v, pirn::conn& c) {
    const std::string chunk(1 << 16, 'x');
    c.set_write_deadline(pirn::clock::now() + 50ms);
    while (c.write(bytes_of(chunk))) {
    }
    c.set_write_deadline({});
    EXPECT(v, static_cast<bool>(c));
}

// Connections that a listener with a backlog of 1 holds without accepting them: what dials it then
// does not get through.
struct full_listener {
    std::optional<pirn::listener> l;
    std::vector<pirn::conn> queued;

    explicit full_listener(verdict& v) {
        auto made = pirn::listen("127.0.0.1:0", {.backlog = 1});
        if (!EXPECT(v, made.has_value())) return;
        l = std::move(*made);
        for (int i = 0; i < 2; ++i) {
            auto c = pirn::dial(l->address());
            if (EXPECT(v, c.has_value())) queued.push_back(std::move(*c));
        }
    }
};

}  // namespace

TEST_CASE("a context that is done ends every call before it begins", "[net][context]") {
    on_each_procs([](verdict& v) {
        auto [a, b] = connect_pair(v);
        EXPECT(v, b.write(bytes_of("there")) == 5u);
        auto [ctx, cancel] = pirn::with_cancel(pirn::background());
        cancel();
        std::byte space[8];
        EXPECT(v, fails_with(a.read(space, ctx), k_canceled));
        EXPECT(v, fails_with(a.write(bytes_of("no"), ctx), k_canceled));
        const std::span<const std::byte> pieces[] = {bytes_of("n"), bytes_of("o")};
        EXPECT(v, fails_with(a.write_v(pieces, ctx), k_canceled));
        auto l = pirn::listen("127.0.0.1:0");
        if (!EXPECT(v, l.has_value())) return;
        EXPECT(v, fails_with(pirn::dial(l->address(), ctx), k_canceled));
        auto c = pirn::dial(l->address());
        EXPECT(v, fails_with(l->accept(ctx), k_canceled));
        EXPECT(v, l->accept().has_value());
        // What is there is still there.
        EXPECT(v, read_some(a) == "there");
        // The error as users ask for it.
        EXPECT(v, k_canceled == std::errc::operation_canceled);
        EXPECT(v, k_too_late == std::errc::timed_out);
    });
}

TEST_CASE("cancelling ends a read that waits, and the connection goes on", "[net][context]") {
    on_each_procs([](verdict& v) {
        auto [a, b] = connect_pair(v);
        for (int round = 0; round < 20; ++round) {
            auto [ctx, cancel] = pirn::with_cancel(pirn::background());
            group tasks;
            tasks.go([&] {
                std::byte space[8];
                EXPECT(v, fails_with(a.read(space, ctx), k_canceled));
            });
            wait_parked(1);
            cancel();
            tasks.join();
            // A context that stays: the read gets its bytes.
            auto [live, drop] = pirn::with_cancel(pirn::background());
            tasks.go([&] {
                std::byte space[8];
                EXPECT(v, a.read(space, live) == 4u);
            });
            wait_parked(1);
            EXPECT(v, b.write(bytes_of("late")) == 4u);
            tasks.join();
            drop();
        }
    });
}

TEST_CASE("a context's deadline ends a read, a write, an accept and a dial", "[net][context]") {
    on_each_procs([](verdict& v) {
        auto [a, b] = connect_pair(v);
        fill(v, a);
        full_listener full(v);
        auto l = pirn::listen("127.0.0.1:0");
        if (!EXPECT(v, l.has_value() && full.l.has_value())) return;
        const auto began = pirn::clock::now();
        auto [ctx, cancel] = pirn::with_timeout(pirn::background(), 20ms);
        const std::string more = pattern(1 << 20);   // the room that a write left is less
        group tasks;
        tasks.go([&] {
            std::byte space[8];
            EXPECT(v, fails_with(a.read(space, ctx), k_too_late));
        });
        tasks.go([&] { EXPECT(v, fails_with(a.write(bytes_of(more), ctx), k_too_late)); });
        tasks.go([&] { EXPECT(v, fails_with(l->accept(ctx), k_too_late)); });
        tasks.go([&] { EXPECT(v, fails_with(pirn::dial(full.l->address(), ctx), k_too_late)); });
        tasks.join();
        EXPECT(v, pirn::clock::now() - began >= 20ms);
        cancel();
        // The listener is as good as before.
        auto c = pirn::dial(l->address());
        EXPECT(v, c.has_value() && l->accept().has_value());
    });
}

TEST_CASE("cancelling ends a dial that gets no answer, at once", "[net][context]") {
    on_each_procs([](verdict& v) {
        full_listener full(v);
        if (!EXPECT(v, full.l.has_value())) return;
        auto [ctx, cancel] = pirn::with_cancel(pirn::background());
        group tasks;
        tasks.go([&] { EXPECT(v, fails_with(pirn::dial(full.l->address(), ctx), k_canceled)); });
        wait_parked(1);
        cancel();
        tasks.join();
    });
}

TEST_CASE("a reader in line leaves it when its context is done", "[net][context]") {
    on_each_procs([](verdict& v) {
        auto [a, b] = connect_pair(v);
        auto [ctx, cancel] = pirn::with_cancel(pirn::background());
        group first, second, third;
        first.go([&] { EXPECT(v, read_some(a, 1) == "1"); });
        wait_parked(1);
        std::atomic<bool> begun{false};
        second.go([&] {
            std::byte space[8];
            begun = true;
            EXPECT(v, fails_with(a.read(space, ctx), k_canceled));
        });
        wait_until("the second reader to begin", [&] { return begun.load(); });
        third.go([&] { EXPECT(v, read_some(a, 1) == "2"); });
        pirn::sleep_for(1ms);
        cancel();
        second.join();
        EXPECT(v, first.running() == 1 && third.running() == 1);
        EXPECT(v, b.write(bytes_of("12")) == 2u);
        first.join();
        third.join();
    });
}

TEST_CASE("closing and deadlines say themselves why a read with a context ends", "[net][context]") {
    on_each_procs([](verdict& v) {
        auto [ctx, cancel] = pirn::with_cancel(pirn::background());
        auto [a, b] = connect_pair(v);
        std::byte space[8];
        a.set_read_deadline(pirn::clock::now() + 5ms);
        EXPECT(v, net_test::fails_with(a.read(space, ctx), std::errc::timed_out));
        a.set_read_deadline({});
        group tasks;
        tasks.go([&] {
            EXPECT(v, net_test::fails_with(a.read(space, ctx), std::errc::operation_canceled) &&
                          !ctx.err());
        });
        wait_parked(1);
        a.close();
        tasks.join();
    });
}

TEST_CASE("a thread's read ends with its context too", "[net][context]") {
    on_each_procs([](verdict& v) {
        auto [a, b] = connect_pair(v);
        auto [ctx, cancel] = pirn::with_cancel(pirn::background());
        std::atomic<int> step{0};
        std::thread reader([&, &c = a, &until = ctx] {
            std::byte space[8];
            EXPECT(v, fails_with(c.read(space, until), k_canceled));
            step = 1;
        });
        pirn::sleep_for(2ms);
        EXPECT(v, step == 0);
        cancel();
        wait_until("the thread", [&] { return step == 1; });
        reader.join();
    });
}

TEST_CASE("a run that ends leaves nothing of a waiting call with its context", "[net][context]") {
    pirn::test::on_procs([](int procs) {
        auto [ctx, cancel] = pirn::with_cancel(pirn::background());
        for (int round = 0; round < 3; ++round) {
            verdict v;
            pirn::run([&] {
                static std::optional<pair> ends;
                ends.emplace(connect_pair(v));
                for (int i = 0; i < 3; ++i) {
                    pirn::go([&until = ctx] {
                        std::byte space[8];
                        (void)ends->a.read(space, until);
                    });
                }
                wait_parked(1);
                pirn::sleep_for(1ms);
            }, {.procs = procs});
            CHECK(v.complaints() == "");
        }
        cancel();
    });
}

TEST_CASE("contexts that end all the time lose no byte and no wake-up", "[net][context]") {
    on_each_procs([](verdict& v) {
        constexpr int k_messages = 1500;
        auto [a, b] = connect_pair(v);
        group tasks;
        tasks.go([&, &to = b] {
            std::uint8_t next = 0;
            for (int i = 0; i < k_messages; ++i) {
                const std::byte one[] = {std::byte{next++}};
                EXPECT(v, to.write(one) == 1u);
                if (i % 4 == 0) pirn::yield();
                if (i % 64 == 0) pirn::sleep_for(100us);
            }
        });
        std::atomic<int> cancelled{0};
        std::uint8_t expected = 0;
        for (int got = 0, round = 0; got < k_messages; ++round) {
            auto [ctx, cancel] = pirn::with_cancel(pirn::background());
            auto [timed, stop] = pirn::with_timeout(ctx, 50us * (1 + round % 5));
            tasks.go([end = cancel] { end(); });
            std::byte space[16];
            const auto n = a.read(space, round % 2 == 0 ? timed : ctx);
            if (!n) {
                EXPECT(v, n.error() == k_canceled || n.error() == k_too_late);
                ++cancelled;
                continue;
            }
            for (std::size_t i = 0; i < *n; ++i)
                EXPECT(v, space[i] == std::byte{expected++});
            got += static_cast<int>(*n);
        }
        tasks.join();
        EXPECT(v, cancelled > 0);
    });
}
