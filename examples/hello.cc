// SPDX-License-Identifier: MIT
// The smallest program: a goroutine greets over a channel, and the main goroutine prints it.
#include <cstdio>

#include <pirn/chan.h>
#include <pirn/runtime.h>

int main() {
    return pirn::run([] {
        auto greetings = pirn::make_chan<const char*>();
        pirn::go([greetings] { greetings.send("hello from a goroutine"); });
        std::puts(greetings.recv().value());
    });
}
