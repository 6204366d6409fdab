// SPDX-License-Identifier: MIT
// EXPECT status 2
// EXPECT stderr: fatal error: all goroutines are asleep - deadlock!
// K05, K06: timers, readers and foreign threads that have gone by do not hide a deadlock.
#include <thread>

#include <unistd.h>

#include <pirn/chan.h>
#include <pirn/io.h>
#include <pirn/runtime.h>
#include <pirn/sleep.h>

int main() {
    return pirn::run([] {
        pirn::sleep_for(std::chrono::milliseconds(3));
        int p[2];
        if (::pipe(p) != 0) return;
        auto reader = *pirn::io::fd::adopt(p[0]);
        const auto c = pirn::make_chan<int>();
        pirn::go([&] {
            std::byte b;
            (void)reader.read(std::span(&b, 1));
            c.send(1);
        });
        std::thread([&] { (void)!::write(p[1], "x", 1); }).join();
        (void)c.recv();
        (void)c.recv();
    });
}
