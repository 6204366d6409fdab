// SPDX-License-Identifier: MIT
// A user's program, built with nothing but what was installed: goroutines, a channel, a wait group.
#include <cstdio>

#include <pirn/pirn.h>

int main() {
    return pirn::run([] {
        auto numbers = pirn::make_chan<int>(16);
        pirn::wait_group senders;
        for (int part = 0; part < 10; ++part) {
            senders.add(1);
            pirn::go([&, part] {
                for (int n = part * 100 + 1; n <= part * 100 + 100; ++n) numbers.send(n);
                senders.done();
            });
        }
        pirn::go([&] {
            senders.wait();
            numbers.close();
        });
        int sum = 0;
        for (int n : numbers) sum += n;
        std::printf("sum %d\n", sum);
    });
}
