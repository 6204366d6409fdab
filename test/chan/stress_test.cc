// SPDX-License-Identifier: MIT
// Random programs over channels: goroutines and threads, blocking and not, handles that come and
// go, closes in the middle. A ledger says whether every value arrived once and in order.
#include <array>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "test/chan/verdict.h"

using namespace pirn::test;
using pirn::chan;
using pirn::make_chan;
using pirn::recv_status;

namespace {

// One that is destroyed exactly once, says who sent it, and is its sender's how-manieth.
struct parcel {
    counted life;
    int sender;
    int number;
};

constexpr int k_senders = 5, k_receivers = 4;

struct program {
    program(verdict& verdict_, std::uint64_t seed) : v(verdict_), random(seed) {}

    // Sends until `most` values went or somebody closed.
    void sending(int sender, int most, std::uint64_t seed) {
        std::mt19937_64 dice(seed);
        chan<parcel> mine = c;
        for (int i = 0; i < most; ++i) {
            if (dice() % 16 == 0) mine = chan<parcel>(c);
            try {
                parcel p{counted(i), sender, i};
                if (dice() % 3 != 0 || !mine.try_send(std::move(p))) mine.send(std::move(p));
                ++sent[static_cast<std::size_t>(sender)];
            } catch (const pirn::panic&) {
                break;
            }
            if (dice() % 32 == 0) pirn::yield();
        }
        if (--senders_left == 0 && !closes_early) c.close();
    }

    void receiving(int receiver, std::uint64_t seed) {
        std::mt19937_64 dice(seed);
        std::array<int, k_senders> last;
        last.fill(-1);
        std::optional<parcel> p;
        for (;;) {
            p.reset();
            if (dice() % 3 == 0) {
                if (c.try_recv(p) == recv_status::closed) break;
            } else {
                p = c.recv();
                if (!p) break;
            }
            if (dice() % 32 == 0) pirn::yield();
            if (!p) continue;
            EXPECT(p->life.value == p->number);
            // Between one sender and one receiver the order stays.
            EXPECT(p->number > std::exchange(last[static_cast<std::size_t>(p->sender)], p->number));
            ++received[static_cast<std::size_t>(p->sender)];
        }
        (void)receiver;
    }

    void run() {
        c = make_chan<parcel>(random() % 3 == 0 ? 0 : random() % 8);
        closes_early = random() % 2 == 0;
        crowd all;
        std::vector<std::thread> threads;
        const auto start = [&](auto body) {
            if (random() % 4 == 0)
                threads.emplace_back(body);
            else
                all.go(body);
        };
        for (int s = 0; s < k_senders; ++s)
            start([this, s, most = static_cast<int>(random() % 400), dice = random()] {
                sending(s, most, dice);
            });
        for (int r = 0; r < k_receivers; ++r)
            start([this, r, dice = random()] { receiving(r, dice); });
        if (closes_early)
            all.go([this, yields = random() % 300] {
                for (auto n = yields; n > 0; --n) pirn::yield();
                c.close();
            });
        all.join();
        for (auto& t : threads) t.join();
        for (std::size_t s = 0; s < k_senders; ++s) EXPECT(sent[s] == received[s]);
        EXPECT(c.len() == 0);
    }

    verdict& v;
    std::mt19937_64 random;
    chan<parcel> c;
    bool closes_early = false;
    std::atomic<int> senders_left{k_senders};
    std::array<std::atomic<int>, k_senders> sent{}, received{};
};

}  // namespace

TEST_CASE("C05 C22 C26 C31 random programs over one channel") {
    const std::uint64_t s = seed("random programs");
    in_run([s](verdict& v) {
        std::mt19937_64 random(s);
        const long alive = counted::alive, values = counted::values;
        for (int round = 0; round < 60; ++round) program(v, random()).run();
        EXPECT(counted::alive == alive && counted::values == values);
    });
}
