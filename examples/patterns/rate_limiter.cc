// SPDX-License-Identifier: MIT
// Rate limiter: a ticker gives out the times at which something may be done.
#include <chrono>
#include <cstdio>

#include <pirn/chan.h>
#include <pirn/runtime.h>
#include <pirn/time.h>

using namespace std::chrono_literals;

int main() {
    return pirn::run([] {
        const auto requests = pirn::make_chan<int>(5);
        for (int i = 0; i < 5; ++i) requests.send(i);
        requests.close();
        const auto began = pirn::clock::now();
        pirn::ticker pace(10ms);
        for (const int request : requests) {
            pace.c.recv();
            std::printf("request %d\n", request);
        }
        std::puts(pirn::clock::now() - began >= 50ms ? "not before their time" : "too fast");
    });
}
