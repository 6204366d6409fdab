// SPDX-License-Identifier: MIT
// EXPECT status 2
// EXPECT stderr: panic: what was thrown
// EXPECT stderr: [running]:
// EXPECT stderr: deepest
// EXPECT stderr: created by
// EXPECT not stderr: a destructor ran
// G20: an uncaught exception is reported where it was thrown, before anything is unwound.
#include <cstdio>
#include <stdexcept>

#include <pirn/runtime.h>
#include <pirn/sleep.h>

struct noisy {
    ~noisy() { std::fputs("a destructor ran\n", stderr); }
};

[[gnu::noinline]] static void deepest() {
    noisy n;
    throw std::runtime_error("what was thrown");
}

int main() {
    return pirn::run([] {
        pirn::go([] { deepest(); });
        pirn::sleep_for(std::chrono::seconds(30));
    });
}
