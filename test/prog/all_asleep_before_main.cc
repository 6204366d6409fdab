// SPDX-License-Identifier: MIT
// EXPECT status 2
// EXPECT stderr: fatal error: all goroutines are asleep - deadlock!
// EXPECT stderr: goroutine 1 [
// K02: a deadlock of a run that a global's constructor makes, before main, is reported too.
#include <cstdio>

#include <pirn/chan.h>
#include <pirn/runtime.h>

static const int waited = pirn::run([] { return pirn::make_chan<int>().recv().value_or(0); });

int main() {
    std::puts("main");
    return waited;
}
