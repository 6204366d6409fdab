// SPDX-License-Identifier: MIT
// EXPECT status 2
// EXPECT stderr: runtime: program exceeds 0-thread limit
// EXPECT stderr: fatal error: thread exhaustion
// A limit below the number of threads there are already ends the program at once.
#include <pirn/runtime.h>

int main() {
    return pirn::run([] { pirn::set_max_threads(0); });
}
