// SPDX-License-Identifier: MIT
// error_group with a context: W11.
#include <pirn/context.h>

#include <atomic>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>

#include <pirn/sleep.h>

#include "test/chan/verdict.h"

using namespace pirn::test;
using namespace std::chrono_literals;

namespace {

const std::error_code k_failure = std::make_error_code(std::errc::no_such_device);

std::string text_of(const std::exception_ptr& thrown) {
    if (thrown == nullptr) return "none";
    try {
        std::rethrow_exception(thrown);
    } catch (const std::exception& e) {
        return e.what();
    }
}

}  // namespace

TEST_CASE("W11 a part that fails cancels the others, with its failure as the cause") {
    in_run([](verdict& v) {
        auto [group, ctx] = pirn::with_context(pirn::background());
        std::atomic<int> cancelled{0};
        for (int i = 0; i < 5; ++i) {
            group.go([&, ctx = ctx] {
                const auto slept = pirn::sleep_for(1h, ctx);
                if (!slept && slept.error() == pirn::context_errc::canceled) ++cancelled;
                return slept ? std::error_code() : slept.error();
            });
        }
        EXPECT(!ctx.err());
        group.go([] { return k_failure; });
        EXPECT(group.wait() == k_failure);
        EXPECT(cancelled == 5);
        EXPECT(ctx.err() == pirn::context_errc::canceled);
        EXPECT(text_of(pirn::cause(ctx)) == std::system_error(k_failure).what());
    });
}

TEST_CASE("W11 a part that throws cancels the others, and wait throws it") {
    in_run([](verdict& v) {
        auto [group, ctx] = pirn::with_context(pirn::background());
        group.go([ctx = ctx] { ctx.done().recv(); });
        group.go([] { throw std::runtime_error("a part"); });
        std::string what;
        try {
            group.wait();
        } catch (const std::runtime_error& e) {
            what = e.what();
        }
        EXPECT(what == "a part");
        EXPECT(text_of(pirn::cause(ctx)) == "a part");
    });
}

TEST_CASE("W11 the context is done when wait returns, and with its parent") {
    in_run([](verdict& v) {
        {
            auto [group, ctx] = pirn::with_context(pirn::background());
            group.go([] {});
            EXPECT(!group.wait());
            EXPECT(ctx.err() == pirn::context_errc::canceled);
        }
        auto [parent, cancel] = pirn::with_cancel(pirn::background());
        auto [group, ctx] = pirn::with_context(parent);
        group.go([ctx = ctx] { ctx.done().recv(); });
        cancel();
        EXPECT(!group.wait());
        EXPECT(ctx.err() == pirn::context_errc::canceled);
    });
}
