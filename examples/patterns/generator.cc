// SPDX-License-Identifier: MIT
// Generator: a function that gives back a channel, on which a goroutine sends what it computes.
#include <cstdio>
#include <utility>

#include <pirn/chan.h>
#include <pirn/runtime.h>

namespace {

pirn::recv_chan<long> fibonacci(int count) {
    const auto out = pirn::make_chan<long>();
    pirn::go([=] {
        long a = 0, b = 1;
        for (int i = 0; i < count; ++i) {
            out.send(a);
            a = std::exchange(b, a + b);
        }
        out.close();
    });
    return out;
}

}  // namespace

int main() {
    return pirn::run([] {
        for (const long n : fibonacci(10)) std::printf("%ld ", n);
        std::puts("");
    });
}
