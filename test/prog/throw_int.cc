// SPDX-License-Identifier: MIT
// EXPECT status 2
// EXPECT stderr: panic: exception of type int
// EXPECT stderr: goroutine 1 [running]:
// G20: an exception that is no std::exception is reported by its type.
#include <pirn/runtime.h>

int main() {
    return pirn::run([] { throw 42; });
}
