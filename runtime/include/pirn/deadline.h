// SPDX-License-Identifier: MIT
// Deadlines of timed waits: any duration and any clock's time, as nanoseconds of the library's
// clock.
#pragma once

#include <chrono>
#include <cstdint>
#include <type_traits>

#include <pirn/sleep.h>

namespace pirn::detail {

// From now on; what is too long for the clock is never.
template <class Rep, class Period>
std::int64_t deadline_after(std::chrono::duration<Rep, Period> d) {
    return deadline_ns_after(steady_ns(clock::now()), saturate_ns(d));
}

// Calls wait(deadline_ns), which returns whether what it waits for has come, with the deadline that
// t means: again and again where t is another clock's, which may be set.
template <class Clock, class Duration, class Wait>
bool wait_by(const std::chrono::time_point<Clock, Duration>& t, Wait wait) {
    if constexpr (std::is_same_v<Clock, clock>) {
        return wait(saturate_ns(t.time_since_epoch()));
    } else {
        for (;;) {
            if (wait(deadline_after(t - Clock::now()))) return true;
            if (Clock::now() >= t) return false;
        }
    }
}

}  // namespace pirn::detail
