// SPDX-License-Identifier: MIT
// select: adds up what two goroutines send, as it comes, and gives up on a third after a while.
#include <chrono>
#include <cstdio>
#include <optional>

#include <pirn/chan.h>
#include <pirn/runtime.h>
#include <pirn/select.h>
#include <pirn/sleep.h>

namespace {

pirn::recv_chan<long> powers(int exponent, long count) {
    const auto out = pirn::make_chan<long>();
    pirn::go([=] {
        for (long i = 1; i <= count; ++i) out.send(exponent == 2 ? i * i : i * i * i);
        out.close();
    });
    return out;
}

// Closed when the time is over.
pirn::recv_chan<void> alarm(std::chrono::milliseconds time) {
    const auto out = pirn::make_chan<void>();
    pirn::go([=] {
        pirn::sleep_for(time);
        out.close();
    });
    return out;
}

}  // namespace

int main() {
    return pirn::run([] {
        auto squares = powers(2, 100), cubes = powers(3, 100);
        long sum = 0;
        // A channel that is closed is always ready; nil never is, so the loop ends when both are.
        const auto add_from = [&](pirn::recv_chan<long>& source) {
            return [&](std::optional<long> n) {
                if (n)
                    sum += *n;
                else
                    source = nullptr;
            };
        };
        while (squares || cubes)
            pirn::select(pirn::on_recv(squares, add_from(squares)),
                         pirn::on_recv(cubes, add_from(cubes)));
        std::printf("sum %ld\n", sum);

        const auto silent = pirn::make_chan<long>();
        const int index = pirn::select(pirn::on_recv(silent),
                                       pirn::on_recv(alarm(std::chrono::milliseconds(10))));
        std::puts(index == 1 ? "nothing came within 10 ms" : "something came");
    });
}
