// SPDX-License-Identifier: MIT
// Prime sieve: each prime that is found adds a goroutine that lets its multiples not pass.
#include <cstdio>

#include <pirn/chan.h>
#include <pirn/runtime.h>

int main() {
    return pirn::run([] {
        auto numbers = pirn::make_chan<int>();
        pirn::go([numbers] {
            for (int n = 2;; ++n) numbers.send(n);
        });
        for (int i = 0; i < 15; ++i) {
            const int prime = *numbers.recv();
            std::printf("%d ", prime);
            const auto passed = pirn::make_chan<int>();
            pirn::go([=] {
                for (const int n : numbers) {
                    if (n % prime != 0) passed.send(n);
                }
            });
            numbers = passed;
        }
        // The goroutines that are left end with the run.
        std::puts("");
    });
}
