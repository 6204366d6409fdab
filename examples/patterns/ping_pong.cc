// SPDX-License-Identifier: MIT
// Ping-pong: a ball goes to and fro between two goroutines over one unbuffered channel.
#include <cstdio>
#include <optional>

#include <pirn/chan.h>
#include <pirn/runtime.h>
#include <pirn/sync.h>

int main() {
    return pirn::run([] {
        const auto table = pirn::make_chan<int>();
        pirn::wait_group players;
        for (int player = 0; player < 2; ++player) {
            players.go([=] {
                while (const std::optional<int> hits = table.recv()) {
                    std::printf("%s %d\n", *hits % 2 == 0 ? "ping" : "pong", *hits);
                    if (*hits == 5) {
                        table.close();
                        return;
                    }
                    table.send(*hits + 1);
                }
            });
        }
        table.send(0);
        players.wait();
    });
}
