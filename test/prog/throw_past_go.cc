// SPDX-License-Identifier: MIT
// EXPECT status 2
// EXPECT stderr: panic: nobody's but its own
// EXPECT not stderr: somebody else had it
// G21: who starts a goroutine, or waits for it, does not catch what it throws.
#include <cstdio>

#include <pirn/chan.h>
#include <pirn/runtime.h>

int main() {
    return pirn::run([] {
        const auto never = pirn::make_chan<int>();
        try {
            pirn::go([] {
                try {
                    pirn::go([] { throw pirn::panic("nobody's but its own"); });
                    for (;;) pirn::yield();
                } catch (...) {
                    std::fputs("somebody else had it\n", stderr);
                }
            });
            (void)never.recv();
        } catch (...) {
            std::fputs("somebody else had it\n", stderr);
        }
    });
}
