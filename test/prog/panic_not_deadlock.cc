// SPDX-License-Identifier: MIT
// EXPECT status 2
// EXPECT stderr: panic: of the last one awake
// EXPECT not stderr: all goroutines are asleep
// K07: where all others sleep for good, the panic of the last one is what is reported.
#include <pirn/chan.h>
#include <pirn/runtime.h>

int main() {
    return pirn::run([] {
        const auto never = pirn::make_chan<int>();
        for (int i = 0; i < 10; ++i) pirn::go([=] { (void)never.recv(); });
        pirn::go([] {
            for (int i = 0; i < 100; ++i) pirn::yield();
            throw pirn::panic("of the last one awake");
        });
        (void)never.recv();
    });
}
