// SPDX-License-Identifier: MIT
// What tests of layers above the runtime share: a run at each number of Ps, with a check that
// nothing is left over.
#pragma once

#include <catch2/catch.hpp>

#include <cstdlib>
#include <string>
#include <vector>

#include <pirn/debug.h>
#include <pirn/runtime.h>

#include "runtime/base/sanitizer.h"
#include "stack/map.h"

namespace pirn::test {

// PIRN_TEST_PROCS, a comma-separated list; 1, 2, 4 and 8 by default.
inline std::vector<int> proc_counts() {
    const char* v = std::getenv("PIRN_TEST_PROCS");
    const std::string list = v != nullptr && *v != '\0' ? v : "1,2,4,8";
    std::vector<int> counts;
    for (std::size_t at = 0; at < list.size();) {
        std::size_t end = list.find(',', at);
        if (end == std::string::npos) end = list.size();
        counts.push_back(std::atoi(list.substr(at, end - at).c_str()));
        at = end + 1;
    }
    return counts;
}

// Calls body(procs) for each; it asserts on the test's thread only, after its runs.
template <class F>
void on_procs(F body) {
    for (const int procs : proc_counts()) {
        CAPTURE(procs);
        body(procs);
        REQUIRE(num_goroutine() == 0);          // no runtime is left running
        REQUIRE(runtime_stats().stacks == 0);   // every stack was given back
    }
}

// Runs f as the main goroutine at each number of Ps.
template <class F>
void run_on_procs(F f) {
    on_procs([&](int procs) { run([&] { f(); }, {.procs = procs}); });
}

// Yields until condition() holds: to wait for what other goroutines do, instead of sleeping.
template <class C>
void wait_until(C condition) {
    while (!condition()) yield();
}

// How often to do what is to be done so often at full speed: a twentieth of that in builds that
// take many times as long, and under an emulator.
inline int at_full_speed(int times) {
#if defined(PIRN_PERTURB) || defined(PIRN_ASAN) || defined(PIRN_TSAN)
    return times / 20;
#else
    return stack::emulated() ? times / 20 : times;
#endif
}

}  // namespace pirn::test
