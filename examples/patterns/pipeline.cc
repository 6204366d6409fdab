// SPDX-License-Identifier: MIT
// Pipeline: stages joined by channels. Closing `done` ends every stage, wherever it waits, although
// nobody takes what they still have to send.
#include <cstdio>
#include <optional>

#include <pirn/chan.h>
#include <pirn/runtime.h>
#include <pirn/select.h>
#include <pirn/sync.h>

namespace {

// Sends, or gives up because `done` is closed: false.
bool send_unless(const pirn::chan<void>& done, const pirn::chan<long>& out, long value) {
    return pirn::select(pirn::on_send(out, value), pirn::on_recv(done)) == 0;
}

}  // namespace

int main() {
    return pirn::run([] {
        const auto done = pirn::make_chan<void>();
        const auto numbers = pirn::make_chan<long>(), squares = pirn::make_chan<long>();
        pirn::wait_group stages;
        stages.go([=] {
            for (long n = 1; send_unless(done, numbers, n); ++n) {}
            numbers.close();
        });
        stages.go([=] {
            for (const long n : numbers) {
                if (!send_unless(done, squares, n * n)) break;
            }
            squares.close();
        });
        for (int i = 0; i < 5; ++i) std::printf("%ld ", *squares.recv());
        done.close();
        stages.wait();
        std::puts("and all stages have ended");
    });
}
