// SPDX-License-Identifier: MIT
// EXPECT status 2
// EXPECT stdout: 60000 bytes fit
// EXPECT stderr: fatal error: stack overflow: alloca too large
// EXPECT stderr like: goroutine [0-9]+ "greedy" \[running\], entry function .*main
// EXPECT stderr like: goes [0-9]{6,} bytes past the end of its stack
// EXPECT stderr: is given 65536 bytes
// EXPECT stderr: pirn::go({.stack = ...}, ...)
// What an alloca takes is not known at its function's entry, so it is looked at when it has moved
// the stack pointer, before anything is stored there.
#include <cstdio>
#include <cstring>

#include <alloca.h>

#include <pirn/runtime.h>
#include <pirn/sleep.h>

[[gnu::noinline]] static std::size_t take(std::size_t bytes) {
    auto* volatile memory = static_cast<char*>(alloca(bytes));
    std::memset(memory, 'x', bytes);
    return bytes;
}

int main() {
    return pirn::run([] {
        pirn::go({.name = "greedy"}, [] {
            std::printf("%zu bytes fit\n", take(60'000));
            std::fflush(stdout);
            take(1'000'000);
        });
        pirn::sleep_for(std::chrono::seconds(30));
    });
}
