// SPDX-License-Identifier: MIT
// Future: a goroutine leaves its one result in a channel of capacity 1, so that it ends whether or
// not anybody asks.
#include <cstdio>
#include <utility>

#include <pirn/chan.h>
#include <pirn/runtime.h>

namespace {

template <class F>
auto in_background(F f) {
    const auto result = pirn::make_chan<decltype(f())>(1);
    pirn::go([result, f = std::move(f)] { result.send(f()); });
    return pirn::recv_chan<decltype(f())>(result);
}

}  // namespace

int main() {
    return pirn::run([] {
        const auto six = in_background([] { return 2 * 3; });
        const auto seven = in_background([] { return 3 + 4; });
        in_background([] { return 0; });
        std::printf("%d\n", *six.recv() * *seven.recv());
    });
}
