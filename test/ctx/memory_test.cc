// SPDX-License-Identifier: MIT
// What contexts take, and that they give it back.
#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include <pirn/context.h>

#include "ctx/node.h"
#include "runtime/sema.h"
#include "test/chan/verdict.h"
#include "test/support/resident.h"

using namespace pirn::test;
using pirn::background;
using pirn::cancelable;
using pirn::context;
using pirn::with_cancel;

namespace {

// Where the figures mean something: a sanitizer keeps what is freed, an emulator has memory too.
bool counts_memory() {
#if defined(PIRN_ASAN) || defined(PIRN_TSAN)
    return false;
#else
    return !pirn::stack::emulated();
#endif
}

// Cancels a context when it goes.
struct cancels {
    pirn::cancel_func cancel;
    ~cancels() { cancel(); }
};
inline constexpr pirn::context_key<std::shared_ptr<cancels>> k_cancels;

void derive_and_cancel(const context& parent, int times) {
    crowd all;
    for (int g = 0; g < 4; ++g) {
        all.go([&parent, times] {
            for (int i = 0; i < times / 4; ++i) {
                auto [child, cancel] = with_cancel(parent);
                if (i % 16 == 0) static_cast<void>(child.done());
                cancel();
            }
        });
    }
    all.join();
}

}  // namespace

TEST_CASE("X13 a million contexts made and cancelled below one that lives take no memory") {
    in_run([](verdict& v) {
        const int times = at_full_speed(1'000'000);
        auto [parent, cancel] = with_cancel(background());
        derive_and_cancel(parent, times / 10);
        const long before = resident_bytes();
        derive_and_cancel(parent, times);
        const long grown = resident_bytes() - before;
        // Kept, they would take 88 MB.
        if (counts_memory()) EXPECT(grown < 2 << 20);
        EXPECT(!parent.err());
    });
}

TEST_CASE("a context that is not waited for is one small object") {
    // Go's: 96 bytes, and 32 for its cancel function.
    STATIC_REQUIRE(sizeof(pirn::detail::cancel_node) <= 88);
    in_run([](verdict& v) {
        const int count = at_full_speed(200'000);
        auto [parent, cancel] = with_cancel(background());
        const context fill = parent;
        std::vector<cancelable> all(static_cast<std::size_t>(count), {fill, {}});
        const long before = resident_bytes();
        for (cancelable& c : all) c = with_cancel(parent);
        const long grown = resident_bytes() - before;
        if (counts_memory()) EXPECT(grown < 128L * count);
        cancel();
    });
}

TEST_CASE("the end of a value cancels the tree that it was in, also while that is cancelled") {
    using pirn::detail::cancel_node;
    in_run([](verdict& v) {
        auto [root, cancel] = with_cancel(background());
        const auto child_of_value = [&] {
            return with_cancel(
                with_value(root, k_cancels, std::make_shared<cancels>(cancel)));
        };
        // Somebody has begun to cancel it: what cancel_tree does, cut in two.
        std::optional<cancelable> child = child_of_value();
        auto* n = pirn::detail::as_cancel(child->ctx.node());
        {
            const pirn::rt::lock_guard hold(n->mu);
            n->state.store(static_cast<std::uint32_t>(pirn::context_errc::canceled),
                           std::memory_order_release);
        }
        std::atomic<bool> done{false};
        pirn::go([&, cancel = cancel] {
            cancel();
            done = true;
        });
        UNTIL((n->state.load(std::memory_order_acquire) & cancel_node::k_awaited) != 0);
        n->state.fetch_or(cancel_node::k_complete, std::memory_order_release);
        pirn::rt::sema_wake_all(&n->state, 0);
        // With one P, who has waited has the last reference now, and with it the value's.
        child.reset();
        UNTIL(done.load());
        EXPECT(root.err() == pirn::context_errc::canceled);
        // From who drops it.
        auto [other, cancel_other] = with_cancel(background());
        with_value(other, k_cancels, std::make_shared<cancels>(cancel_other)) = background();
        EXPECT(other.err() == pirn::context_errc::canceled);
    });
}

TEST_CASE("the end of a run lets go of contexts that only their deadlines would have ended") {
    on_procs([](int procs) {
        const auto token = std::make_shared<int>(0);
        std::optional<cancelable> held;
        pirn::recv_chan<void> done;
        pirn::run([&] {
            after_func(with_timeout(background(), std::chrono::hours(1)).ctx, [token] {});
            held = with_timeout(background(), std::chrono::hours(1));
            after_func(held->ctx, [token] {});
            done = with_timeout(background(), std::chrono::hours(1)).ctx.done();
        }, {.procs = procs});
        CHECK(token.use_count() == 2);
        CHECK(!held->ctx.err());
        held.reset();
        CHECK(token.use_count() == 1);
        CHECK(done.try_recv() == pirn::recv_status::empty);
    });
}
