// SPDX-License-Identifier: MIT
// The clock and sleeping.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <ratio>
#include <system_error>

#include <pirn/cancellation.h>

namespace pirn {

// The clock of every deadline and duration of the library.
using clock = std::chrono::steady_clock;

namespace detail {

void sleep_for_ns(std::int64_t d_ns);
void sleep_until_ns(std::int64_t deadline_ns);
// Why it was cancelled; nothing if it slept to the end.
std::error_code sleep_for_ns(std::int64_t d_ns, const cancellation& until);
std::error_code sleep_until_ns(std::int64_t deadline_ns, const cancellation& until);

// What a wait that can be cancelled returns, if it returns nothing else.
inline std::expected<void, std::error_code> unless(std::error_code why) {
    if (why) return std::unexpected(why);
    return {};
}

// Nanoseconds of any duration, saturated: what does not fit is the longest, not a wrapped value.
// Positive remainders round up, so that no sleep is too short.
template <class Rep, class Period>
constexpr std::int64_t saturate_ns(std::chrono::duration<Rep, Period> d) {
    using ld = std::chrono::duration<long double, std::nano>;
    const long double ns = ld(d).count();
    if (!(ns < 9223372036854775807.0L)) return ns > 0 ? INT64_MAX : 0;
    if (ns <= -9223372036854775807.0L) return INT64_MIN;
    const auto whole = static_cast<std::int64_t>(ns);
    return static_cast<long double>(whole) < ns ? whole + 1 : whole;
}

inline std::int64_t deadline_ns_after(std::int64_t now, std::int64_t d) {
    std::int64_t sum = 0;
    return __builtin_add_overflow(now, d, &sum) ? (d > 0 ? INT64_MAX : INT64_MIN) : sum;
}

inline std::int64_t steady_ns(clock::time_point t) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(t.time_since_epoch()).count();
}

}  // namespace detail

// Blocks the calling goroutine (a foreign thread: the thread) for at least d. Zero and negative
// durations only yield. A duration too large for the clock sleeps for ever.
template <class Rep, class Period>
void sleep_for(std::chrono::duration<Rep, Period> d) {
    detail::sleep_for_ns(detail::saturate_ns(d));
}

// Blocks the caller until the clock has reached t.
inline void sleep_until(clock::time_point t) { detail::sleep_until_ns(detail::steady_ns(t)); }

// The same, but only until the context is done; then its error.
template <class Rep, class Period>
std::expected<void, std::error_code> sleep_for(std::chrono::duration<Rep, Period> d,
                                               const cancellation& ctx) {
    return detail::unless(detail::sleep_for_ns(detail::saturate_ns(d), ctx));
}
inline std::expected<void, std::error_code> sleep_until(clock::time_point t,
                                                        const cancellation& ctx) {
    return detail::unless(detail::sleep_until_ns(detail::steady_ns(t), ctx));
}

}  // namespace pirn
