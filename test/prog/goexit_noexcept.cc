// SPDX-License-Identifier: MIT
// EXPECT status 2
// EXPECT stderr: fatal error: goexit: a noexcept function is in the way of the unwind
// EXPECT stderr: [running]:
// goexit through a noexcept function is fatal, by name.
#include <pirn/runtime.h>

[[gnu::noinline]] static void in_the_way() noexcept { pirn::goexit(); }

int main() {
    return pirn::run([] { in_the_way(); });
}
