// SPDX-License-Identifier: MIT
// EXPECT status 2
// EXPECT stderr: fatal error: all goroutines are asleep - deadlock!
// EXPECT stderr: goroutine 1 [select]
// K04: the main goroutine selects where nobody sends or receives.
#include <pirn/chan.h>
#include <pirn/runtime.h>
#include <pirn/select.h>

int main() {
    return pirn::run([] {
        const auto a = pirn::make_chan<int>(), b = pirn::make_chan<int>();
        pirn::select(pirn::on_recv(a), pirn::on_send(b, 1), pirn::on_recv(pirn::chan<int>()));
    });
}
