// SPDX-License-Identifier: MIT
// EXPECT status 2
// EXPECT stderr: fatal error: all goroutines are asleep - deadlock!
// EXPECT stderr: goroutine 1 [select (no cases)
// K04: the main goroutine selects without any case.
#include <pirn/runtime.h>
#include <pirn/select.h>

int main() {
    return pirn::run([] { pirn::select(); });
}
