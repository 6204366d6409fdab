// SPDX-License-Identifier: MIT
// Timers among many goroutines and threads, and their ends: T04, T07, T08, T12.
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include <pirn/time.h>

#include "test/chan/verdict.h"
#include "test/support/pending.h"
#include "test/support/resident.h"

using namespace pirn::test;
using namespace std::chrono_literals;
using steady = pirn::clock;
using pirn::recv_chan;
using pirn::recv_status;
using pirn::ticker;
using pirn::timer;

namespace {

recv_status poll(const recv_chan<steady::time_point>& c) {
    steady::time_point out;
    return c.try_recv(out);
}

// Busy for about so long, now and then letting others run.
void dawdle(std::minstd_rand& random, unsigned most_us) {
    const auto end = steady::now() + std::chrono::microseconds(random() % most_us);
    while (steady::now() < end) {
        if (random() % 4 == 0) pirn::yield();
    }
}

}  // namespace

TEST_CASE("T04 either stop has a timer's value, or its receiver") {
    const std::uint64_t random_seed = seed("T04");
    in_run([random_seed](verdict& v) {
        crowd all;
        for (unsigned g = 0; g < 6; ++g)
            all.go([&v, random = std::minstd_rand(unsigned(random_seed) + g)]() mutable {
                for (int i = 0; i < at_full_speed(200); ++i) {
                    const timer t(std::chrono::microseconds(random() % 100));
                    std::atomic<int> received{0};
                    std::atomic<bool> end{false};
                    crowd receiver;
                    receiver.go([&] {
                        while (!end && received == 0) {
                            if (poll(t.c) == recv_status::ok) ++received;
                            pirn::yield();
                        }
                    });
                    std::atomic<int> calls{0};
                    const timer call = pirn::after_func(
                        std::chrono::microseconds(random() % 100), [&] { ++calls; });
                    dawdle(random, 120);
                    const int stopped = t.stop();
                    const bool prevented = call.stop();
                    EXPECT(!t.stop());
                    if (prevented) EXPECT(calls == 0);
                    if (!prevented) UNTIL(calls == 1);
                    end = true;
                    receiver.join();
                    EXPECT(stopped + received == 1);
                }
            });
        all.join();
    });
}

TEST_CASE("T07 nothing of before can be received after stop or reset") {
    const std::uint64_t random_seed = seed("T07");
    in_run([random_seed](verdict& v) {
        crowd all;
        for (unsigned g = 0; g < 6; ++g)
            all.go([&v, random = std::minstd_rand(unsigned(random_seed) + g)]() mutable {
                const timer t(1h);
                const ticker ticks(1us);
                for (int i = 0; i < at_full_speed(400); ++i) {
                    t.reset(std::chrono::microseconds(random() % 50));
                    ticks.reset(std::chrono::microseconds(1 + random() % 20));
                    dawdle(random, 60);
                    if (i % 2 == 0) {
                        (void)t.stop();
                        ticks.stop();
                    } else {
                        (void)t.reset(1h);
                        ticks.reset(1h);
                    }
                    for (int k = 0; k < 3; ++k) {
                        EXPECT(poll(t.c) == recv_status::empty);
                        EXPECT(poll(ticks.c) == recv_status::empty);
                        dawdle(random, 20);
                    }
                    // Also when it is armed anew for a time that comes.
                    t.reset(std::chrono::microseconds(random() % 20));
                    dawdle(random, 30);
                    const auto start = steady::now();
                    t.reset(100us);
                    EXPECT(t.c.recv().value() - start >= 100us);
                }
            });
        all.join();
    });
}

TEST_CASE("T08 timers that nobody refers to are freed") {
    in_run([](verdict& v) {
        const int many = at_full_speed(100'000);
        const std::size_t before = pending_timers();
        long resident = 0;
        for (int round = 0; round < 6; ++round) {
            std::vector<timer> timers;
            std::vector<recv_chan<steady::time_point>> channels;
            std::vector<ticker> tickers;
            for (int i = 0; i < many / 4; ++i) {
                timers.emplace_back(1h + std::chrono::milliseconds(i * 7919 % 10'000));
                channels.push_back(pirn::after(2h));
                channels.push_back(timer(3h).c);
                tickers.emplace_back(1h);
            }
            EXPECT(pending_timers() >= before + static_cast<std::size_t>(many / 4 * 4));
            timers.clear();
            tickers.clear();
            channels.clear();
            EXPECT(pending_timers() == before);
            // The memory of the first rounds is used again.
            if (round == 1) resident = resident_bytes();
        }
        EXPECT(resident_bytes() < resident + 16'000'000);
        // In a loop, where one lives at a time.
        for (int i = 0; i < many; ++i) (void)pirn::after(1h);
        EXPECT(pending_timers() == before);
        EXPECT(resident_bytes() < resident + 16'000'000);
    });
}

TEST_CASE("T08 timers are dropped while they fire") {
    const std::uint64_t random_seed = seed("T08");
    in_run([random_seed](verdict&) {
        const std::size_t before = pending_timers();
        const auto token = std::make_shared<int>(0);
        std::atomic<int> calls{0}, prevented{0};
        const int rounds = at_full_speed(500);
        constexpr int k_parties = 6;
        const auto party = [&](unsigned n) {
            std::minstd_rand random(unsigned(random_seed) + n);
            for (int i = 0; i < rounds; ++i) {
                const auto d = std::chrono::microseconds(random() % 30);
                const timer t(d);
                const ticker ticks(d + 1us);
                auto call = std::make_unique<timer>(pirn::after_func(d, [&, token] { ++calls; }));
                dawdle(random, 40);
                if (i % 3 == 0) (void)poll(ticks.c);
                if (i % 3 == 1) t.reset(d);
                if (i % 5 == 0) prevented += call->stop();
            }
        };
        crowd all;
        for (unsigned n = 1; n < k_parties; ++n) all.go([&party, n] { party(n); });
        std::thread outside([&party] { party(0); });
        all.join();
        UNTIL(calls + prevented == k_parties * rounds);
        outside.join();
        UNTIL(token.use_count() == 1);
        UNTIL(pending_timers() == before);
    });
}

TEST_CASE("T08 a receiver that waits is served, although no handle is left") {
    in_run([](verdict& v) {
        const std::size_t before = pending_timers();
        for (int i = 0; i < 20; ++i) {
            auto once = std::make_unique<recv_chan<steady::time_point>>(pirn::after(3ms));
            auto again = std::make_unique<recv_chan<steady::time_point>>(pirn::tick(3ms));
            std::atomic<int> received{0};
            crowd all;
            for (auto* c : {once.get(), again.get(), again.get()})
                all.go([&received, c] { received += c->recv().has_value(); });
            while (received == 0 && (receivers_parked(*once) != 1 || receivers_parked(*again) != 2))
                pirn::yield();
            // Too late for this round where the machine was slow.
            const bool parked = received == 0;
            if (parked) {
                once.reset();
                again.reset();
            }
            all.join();
            EXPECT(received == 3);
        }
        UNTIL(pending_timers() == before);
    });
}

TEST_CASE("T12 timers armed and stopped from many goroutines") {
    in_run([](verdict& v) {
        // Go's TestAfterStress and TestTimerStopStress, and sums that must be right.
        const int goroutines = 100, each = at_full_speed(1000);
        std::atomic<int> received{0}, stopped{0}, calls{0}, prevented{0};
        crowd all;
        for (int g = 0; g < goroutines; ++g)
            all.go([&, random = std::minstd_rand(unsigned(g) + 1)]() mutable {
                std::vector<timer> timers;
                std::vector<timer> functions;
                for (int i = 0; i < each / 2; ++i) {
                    timers.emplace_back(std::chrono::microseconds(random() % 5000));
                    functions.push_back(pirn::after_func(
                        std::chrono::microseconds(random() % 5000), [&] { ++calls; }));
                }
                for (std::size_t i = 0; i < timers.size(); ++i) {
                    if (i % 2 == 0)
                        stopped += timers[i].stop();
                    else
                        received += timers[i].c.recv().has_value();
                    if (i % 3 == 0) prevented += functions[i].stop();
                }
            });
        all.join();
        UNTIL(calls + prevented == goroutines * (each / 2));
        EXPECT(received + stopped == goroutines * (each / 2));
    });
}

TEST_CASE("T12 one timer reset and stopped by many: each arming ends exactly once") {
    const std::uint64_t random_seed = seed("T12");
    in_run([random_seed](verdict& v) {
        // An arming ends by a stop or reset that returns true, or by a receive (a call).
        const timer t(1us);
        std::atomic<int> calls{0};
        const timer call = pirn::after_func(1us, [&] { ++calls; });
        std::atomic<int> armed{1}, ended{0}, call_armed{1}, call_ended{0}, working{0};
        std::atomic<bool> end{false};
        const int rounds = at_full_speed(2000);
        const auto storm = [&](unsigned n) {
            std::minstd_rand random(unsigned(random_seed) + n);
            for (int i = 0; i < rounds; ++i) {
                const auto d = std::chrono::microseconds(random() % 20);
                if (random() % 4 == 0) {
                    ended += t.stop();
                    call_ended += call.stop();
                } else {
                    ended += t.reset(d);
                    ++armed;
                    call_ended += call.reset(d);
                    ++call_armed;
                }
                if (random() % 4 == 0) dawdle(random, 30);
            }
            --working;
        };
        crowd all, receivers;
        for (unsigned n = 0; n < 6; ++n) {
            ++working;
            all.go([&storm, n] { storm(n); });
        }
        ++working;
        std::thread outside([&storm] { storm(6); });
        for (int r = 0; r < 2; ++r)
            receivers.go([&] {
                while (!end) {
                    if (poll(t.c) == recv_status::ok) ++ended;
                    pirn::yield();
                }
            });
        all.join();
        UNTIL(working == 0);
        outside.join();
        UNTIL(armed == ended);
        end = true;
        receivers.join();
        UNTIL(calls + call_ended == call_armed);
        pirn::sleep_for(1ms);
        EXPECT(calls + call_ended == call_armed);
        EXPECT(poll(t.c) == recv_status::empty);
        // It works still.
        EXPECT(!t.reset(1us));
        EXPECT(t.c.recv().has_value());
    });
}
