// SPDX-License-Identifier: MIT
// EXPECT status 2
// EXPECT stderr: fatal error: this program binds functions at their first call
// EXPECT stderr: -Wl,-z,now
// EXPECT stderr: pkg-config --libs pirn
// EXPECT stderr: LD_BIND_NOW=1
// EXPECT not stderr: ran
// A program linked for lazy binding, which takes kilobytes of stack at a function's first call.
#include <cstdio>

#include <pirn/runtime.h>

int main() {
    return pirn::run([] {
        static bool ran = false;
        pirn::go([] { ran = true; });
        while (!ran) pirn::yield();
        std::fprintf(stderr, "ran\n");
    });
}
