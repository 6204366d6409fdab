// SPDX-License-Identifier: MIT
// Producers and consumers: several of each share one buffered channel, which is closed when the
// last producer has ended.
#include <atomic>
#include <cstdio>

#include <pirn/chan.h>
#include <pirn/runtime.h>
#include <pirn/sync.h>

int main() {
    return pirn::run([] {
        const auto items = pirn::make_chan<int>(10);
        std::atomic<int> made{0}, used{0};
        pirn::wait_group producers, consumers;
        for (int p = 0; p < 3; ++p) {
            producers.go([&] {
                for (int i = 0; i < 100; ++i) {
                    items.send(i);
                    ++made;
                }
            });
        }
        for (int c = 0; c < 2; ++c) {
            consumers.go([&] {
                while (items.recv()) ++used;
            });
        }
        producers.wait();
        items.close();
        consumers.wait();
        std::printf("made %d, used %d\n", made.load(), used.load());
    });
}
