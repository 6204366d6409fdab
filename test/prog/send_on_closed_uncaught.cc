// SPDX-License-Identifier: MIT
// EXPECT status 2: panic: send on closed channel
// EXPECT stderr: panic: send on closed channel
// EXPECT stderr: [running]:
// A channel's panic that nobody catches ends the process with Go's text.
#include <pirn/chan.h>
#include <pirn/runtime.h>

int main() {
    return pirn::run([] {
        const auto c = pirn::make_chan<int>();
        pirn::go([c] { c.close(); });
        (void)c.recv();
        c.send(1);
    });
}
