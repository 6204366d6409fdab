// SPDX-License-Identifier: MIT
// Alternating printers: two goroutines print in turn; a token says whose turn it is.
#include <cstdio>

#include <pirn/chan.h>
#include <pirn/runtime.h>
#include <pirn/sync.h>

int main() {
    return pirn::run([] {
        const auto numbers = pirn::make_chan<void>(1), letters = pirn::make_chan<void>(1);
        pirn::wait_group printers;
        printers.go([=] {
            for (int n = 1; n <= 12; n += 2) {
                numbers.recv();
                std::printf("%d%d", n, n + 1);
                letters.send();
            }
        });
        printers.go([=] {
            for (char c = 'A'; c < 'M'; c += 2) {
                letters.recv();
                std::printf("%c%c", c, c + 1);
                numbers.send();
            }
        });
        numbers.send();
        printers.wait();
        std::puts("");
    });
}
