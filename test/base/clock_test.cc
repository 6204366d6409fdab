// SPDX-License-Identifier: MIT
// The clock and its saturation.
#include <catch2/catch.hpp>

#include <chrono>

#include "runtime/base/clock.h"

using namespace pirn::base;

TEST_CASE("now_ns is steady_clock's") {
    using namespace std::chrono;
    const auto a = steady_clock::now().time_since_epoch();
    const std::int64_t now = now_ns();
    const auto b = steady_clock::now().time_since_epoch();
    CHECK(now >= duration_cast<nanoseconds>(a).count());
    CHECK(now <= duration_cast<nanoseconds>(b).count());
}

TEST_CASE("deadlines saturate") {
    CHECK(saturating_deadline_ns(5, 7) == 12);
    CHECK(saturating_deadline_ns(5, INT64_MAX) == k_never_ns);
    CHECK(saturating_deadline_ns(-5, INT64_MIN) == INT64_MIN);
    CHECK(saturating_deadline_ns(k_never_ns, 1) == k_never_ns);
}

TEST_CASE("the fake clock is read until it is taken away") {
    set_fake_clock([]() -> std::int64_t { return 42; });
    CHECK(now_ns() == 42);
    set_fake_clock(nullptr);
    CHECK(now_ns() != 42);
}
