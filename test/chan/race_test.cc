// SPDX-License-Identifier: MIT
// Channels among many goroutines and threads: what may not be missed, lost, doubled or reordered:
// C18, C19, C22, C23, C32-C36.
#include <algorithm>
#include <array>
#include <functional>
#include <numeric>
#include <optional>
#include <thread>
#include <vector>

#include "test/chan/verdict.h"

using namespace pirn::test;
using pirn::chan;
using pirn::make_chan;
using pirn::recv_chan;
using pirn::recv_status;
using pirn::send_chan;

TEST_CASE("C18 a non-blocking receive succeeds while there is something to receive") {
    const std::uint64_t random = seed("C18");
    in_run([random](verdict& v) {
        // Go's TestNonblockRecvRace: at no moment is the channel open and empty.
        chan<int> c;
        recv_status status{};
        duel(
            8000, random,
            [&] {
                c = make_chan<int>(1);
                c.send(1);
            },
            [&] {
                c.close();
                (void)c.recv();
            },
            [&] {
                int out = 0;
                status = c.try_recv(out);
            },
            [&] { EXPECT(status != recv_status::empty); });
        // A sender is parked, and stays so while another comes.
        for (int round = 0; round < 100; ++round) {
            c = make_chan<int>();
            crowd all;
            for (int i = 0; i < 3; ++i) all.go([&c, i] { c.send(i); });
            UNTIL(senders_parked(c) == 3);
            int out = 0;
            for (int i = 0; i < 3; ++i) EXPECT(c.try_recv(out) == recv_status::ok);
            EXPECT(c.try_recv(out) == recv_status::empty);
            all.join();
        }
        // A receiver is parked: a non-blocking send succeeds.
        for (int round = 0; round < 100; ++round) {
            c = make_chan<int>();
            crowd all;
            for (int i = 0; i < 3; ++i) all.go([&] { (void)c.recv(); });
            UNTIL(receivers_parked(c) == 3);
            for (int i = 0; i < 3; ++i) EXPECT(c.try_send(1));
            EXPECT(!c.try_send(1));
            all.join();
        }
    });
}

TEST_CASE("C19 a non-blocking receive sees what was sent or closed before it") {
    const std::uint64_t random = seed("C19");
    in_run([random](verdict& v) {
        // Go's TestNonblockSelectRace and its second: a value is always in one of the two.
        for (const bool by_close : {false, true}) {
            chan<int> first, second;
            bool missed = false;
            duel(
                8000, random,
                [&] {
                    first = make_chan<int>(1);
                    second = make_chan<int>(1);
                    first.send(1);
                    missed = false;
                },
                [&] {
                    if (by_close)
                        second.close();
                    else
                        second.send(1);
                    int out = 0;
                    (void)first.try_recv(out);
                },
                [&] {
                    int out = 0;
                    if (first.try_recv(out) == recv_status::ok) return;
                    missed = second.try_recv(out) == recv_status::empty;
                },
                [&] { EXPECT(!missed); });
        }
    });
}

TEST_CASE("C19 a non-blocking receive does not report the end while values are left") {
    const std::uint64_t random = seed("C19");
    in_run([random](verdict& v) {
        chan<int> c;
        recv_status status{};
        duel(
            8000, random, [&] { c = make_chan<int>(1); },
            [&] {
                c.send(1);
                c.close();
            },
            [&] {
                int out = 0;
                status = c.try_recv(out);
            },
            [&] { EXPECT(status != recv_status::closed); });
    });
}

TEST_CASE("C22 many producers and consumers: every value exactly once") {
    in_run([](verdict& v) {
        for (const std::size_t capacity : {0u, 1u, 7u, 100u}) {
            constexpr int k_producers = 6, k_consumers = 5, k_values = 500;
            const auto c = make_chan<int>(capacity);
            std::vector<std::atomic<int>> seen(k_producers * k_values);
            std::atomic<int> producing{k_producers};
            const auto produce = [&](int p) {
                for (int i = 0; i < k_values; ++i) {
                    const int value = p * k_values + i;
                    if (i % 2 == 0 || !c.try_send(value)) c.send(value);
                }
                if (--producing == 0) c.close();
            };
            const auto consume = [&](int k) {
                for (int n = 0;; ++n) {
                    int out = -1;
                    if ((n + k) % 3 != 0 || c.try_recv(out) != recv_status::ok) {
                        const auto value = c.recv();
                        if (!value) return;
                        out = *value;
                    }
                    ++seen[static_cast<std::size_t>(out)];
                }
            };
            crowd all;
            for (int p = 0; p < k_producers - 1; ++p) all.go([&produce, p] { produce(p); });
            for (int k = 0; k < k_consumers - 1; ++k) all.go([&consume, k] { consume(k); });
            std::thread producer([&] { produce(k_producers - 1); });
            std::thread consumer([&] { consume(k_consumers - 1); });
            all.join();
            producer.join();
            consumer.join();
            for (const auto& n : seen) EXPECT(n == 1);
        }
    });
}

namespace {

// The sieve of Go's test/chan/sieve1.go: a chain of filters, one for each prime.
std::vector<int> primes_by_sieve(int n) {
    auto source = make_chan<int>();
    pirn::go([source] {
        for (int i = 2;; ++i) source.send(i);
    });
    std::vector<int> primes;
    recv_chan<int> in = source;
    while (static_cast<int>(primes.size()) < n) {
        const int prime = in.recv().value();
        primes.push_back(prime);
        const auto out = make_chan<int>();
        pirn::go([in, out, prime] {
            for (const int i : in)
                if (i % prime != 0) out.send(i);
        });
        in = out;
    }
    return primes;
}

// Every permutation of `rest` behind `done`, each level a goroutine of its own.
void permute(std::vector<int> done, std::vector<int> rest, send_chan<std::vector<int>> out) {
    if (rest.empty()) {
        out.send(std::move(done));
        out.close();
        return;
    }
    std::vector<recv_chan<std::vector<int>>> parts;
    for (std::size_t i = 0; i < rest.size(); ++i) {
        auto next_done = done;
        auto next_rest = rest;
        next_done.push_back(rest[i]);
        next_rest.erase(next_rest.begin() + static_cast<std::ptrdiff_t>(i));
        const auto part = make_chan<std::vector<int>>(i % 3);
        pirn::go(permute, std::move(next_done), std::move(next_rest), part);
        parts.push_back(part);
    }
    for (const auto& part : parts)
        for (auto& p : part) out.send(std::move(p));
    out.close();
}

}  // namespace

TEST_CASE("C23 programs of 100,000 channel operations give the right answer") {
    in_run([](verdict& v) {
        const auto primes = primes_by_sieve(150);
        EXPECT(primes.back() == 863);
        EXPECT(std::accumulate(primes.begin(), primes.end(), 0) == 59269);

        std::vector<int> items(6);
        std::iota(items.begin(), items.end(), 0);
        const auto permutations = make_chan<std::vector<int>>();
        pirn::go(permute, std::vector<int>{}, items, permutations);
        std::vector<std::vector<int>> got;
        for (auto& p : permutations) got.push_back(std::move(p));
        bool all_there = true;
        std::size_t n = 0;
        do {
            all_there = all_there && n < got.size() && got[n++] == items;
        } while (std::next_permutation(items.begin(), items.end()));
        EXPECT(all_there && n == 720 && got.size() == 720);
    });
}

TEST_CASE("C32 close happens before the receive that returns because of it") {
    const std::uint64_t random = seed("C32");
    in_run([random](verdict& v) {
        for (const bool poll : {false, true}) {
            chan<int> c;
            int plain = 0, seen = 0;
            duel(
                5000, random,
                [&] {
                    c = make_chan<int>();
                    plain = 0;
                },
                [&] {
                    plain = 1;
                    c.close();
                },
                [&] {
                    int out = 0;
                    if (poll)
                        UNTIL(c.try_recv(out) == recv_status::closed);
                    else if (c.recv().has_value())
                        return;
                    seen = plain;
                },
                [&] { EXPECT(std::exchange(seen, 0) == 1); });
        }
    });
}

TEST_CASE("C33 a send happens before its receive, and unbuffered the other way as well") {
    const std::uint64_t random = seed("C33");
    in_run([random](verdict& v) {
        for (const std::size_t capacity : {0u, 1u}) {
            const auto c = make_chan<int>(capacity);
            int forth = 0, back = 0, forth_seen = 0, back_seen = 0;
            duel(
                5000, random, [&] { forth = back = 0; },
                [&] {
                    forth = 1;
                    c.send(1);
                    if (capacity == 0) back_seen = back;
                },
                [&] {
                    if (capacity == 0) back = 1;
                    (void)c.recv();
                    forth_seen = forth;
                },
                [&] {
                    EXPECT(std::exchange(forth_seen, 0) == 1);
                    EXPECT(capacity == 1 || std::exchange(back_seen, 0) == 1);
                });
        }
    });
}

TEST_CASE("C34 a channel is a semaphore: the k-th receive before the (k + C)-th send") {
    in_run([](verdict& v) {
        constexpr int k_limit = 3, k_workers = 20;
        const auto slots = make_chan<void>(k_limit);
        std::atomic<int> inside{0}, most{0};
        std::array<int, k_workers> work{};
        crowd all;
        for (std::size_t w = 0; w < k_workers; ++w)
            all.go([&, w] {
                for (int i = 0; i < 50; ++i) {
                    slots.send();
                    const int now = ++inside;
                    int seen = most;
                    while (now > seen && !most.compare_exchange_weak(seen, now)) {
                    }
                    ++work[w];
                    pirn::yield();
                    --inside;
                    EXPECT(slots.recv());
                }
            });
        all.join();
        EXPECT(most <= k_limit);
        EXPECT(std::accumulate(work.begin(), work.end(), 0) == k_workers * 50);

        // With room for one it is a lock.
        const auto lock = make_chan<void>(1);
        long plain = 0;
        for (int w = 0; w < 4; ++w)
            all.go([&] {
                for (int i = 0; i < 2000; ++i) {
                    lock.send();
                    ++plain;
                    (void)lock.recv();
                }
            });
        all.join();
        EXPECT(plain == 8000);
    });
}

TEST_CASE("C35 every operation works from plain threads, with and without a runtime") {
    const auto exercise = [](verdict& v) {
        const auto there = make_chan<int>(), back = make_chan<int>(2);
        std::thread echo([&] {
            for (const int value : there) back.send(value + 1);
            back.close();
        });
        for (int i = 0; i < 200; ++i) {
            there.send(i);
            EXPECT(back.recv() == i + 1);
        }
        there.close();
        EXPECT(!back.recv().has_value());
        echo.join();
        EXPECT(panic_of([&] { there.send(1); }) == "send on closed channel");
    };
    {
        verdict v;
        exercise(v);
        CHECK(v.text() == "");
    }
    in_run([](verdict& v) {
        // Threads on one side, goroutines on the other, and both on both.
        const auto c = make_chan<int>(1), d = make_chan<int>();
        std::atomic<long> sum{0};
        std::vector<std::thread> threads;
        for (int t = 0; t < 2; ++t) {
            threads.emplace_back([&] {
                for (int i = 1; i <= 300; ++i) c.send(i);
            });
            threads.emplace_back([&] {
                for (int i = 1; i <= 300; ++i) sum += d.recv().value();
            });
        }
        crowd all;
        for (int g = 0; g < 2; ++g) {
            all.go([&] {
                for (int i = 1; i <= 300; ++i) d.send(c.recv().value());
            });
        }
        all.join();
        for (auto& t : threads) t.join();
        EXPECT(sum == 2 * 300 * 301 / 2);
        // A thread closes what a goroutine waits on.
        all.go([&] { EXPECT(!d.recv().has_value()); });
        UNTIL(receivers_parked(d) == 1);
        std::thread([&] { d.close(); }).join();
        all.join();
    });
}

namespace {

// Uses stack, so that others' frames would be overwritten if they were not safe.
int deep(int n) {
    volatile char filler[512];
    for (auto& byte : filler) byte = static_cast<char>(n);
    return n == 0 ? 0 : deep(n - 1) + (filler[0] == static_cast<char>(n) ? 1 : 0);
}

}  // namespace

TEST_CASE("C36 an address on a stack stays right while its goroutine is parked") {
    in_run([](verdict& v) {
        const auto addresses = make_chan<int*>();
        const auto done = make_chan<void>();
        crowd all;
        for (int g = 0; g < 20; ++g)
            all.go([&, g] {
                std::array<int, 64> local;
                local.fill(g);
                addresses.send(local.data());
                EXPECT(done.recv());
                for (std::size_t i = 0; i < local.size(); ++i)
                    EXPECT(local[i] == g + static_cast<int>(i));
            });
        for (int g = 0; g < 20; ++g) {
            int* array = addresses.recv().value();
            const int first = array[0];
            EXPECT(deep(20) == 20);
            pirn::yield();
            for (int i = 0; i < 64; ++i) {
                EXPECT(array[i] == first);
                array[i] = first + i;
            }
        }
        for (int g = 0; g < 20; ++g) done.send();
        all.join();
    });
}
