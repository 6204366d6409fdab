// SPDX-License-Identifier: MIT
// Fan-out: several goroutines take their work from one channel; each piece goes to one of them.
#include <cstdio>
#include <vector>

#include <pirn/chan.h>
#include <pirn/runtime.h>
#include <pirn/sync.h>

int main() {
    return pirn::run([] {
        constexpr int k_workers = 4;
        const auto numbers = pirn::make_chan<long>();
        std::vector<long> sums(k_workers);
        pirn::wait_group workers;
        for (long& sum : sums) {
            workers.go([&sum, numbers] {
                for (const long n : numbers) sum += n;
            });
        }
        for (long n = 1; n <= 1000; ++n) numbers.send(n);
        numbers.close();
        workers.wait();
        long total = 0;
        for (const long sum : sums) total += sum;
        std::printf("sum %ld\n", total);
    });
}
