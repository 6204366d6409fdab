// SPDX-License-Identifier: MIT
// What travels: capacities, sizes, moves, destructions, handles: C16, C26-C30, C37.
#include <array>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <ranges>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include "test/chan/verdict.h"

using namespace pirn::test;
using pirn::chan;
using pirn::make_chan;
using pirn::recv_chan;
using pirn::recv_status;
using pirn::send_chan;

namespace {

struct empty_value {
    friend bool operator==(empty_value, empty_value) { return true; }
};

// Counts, and throws from a move when its countdown says so; what it moved from stays whole then.
struct fragile {
    static inline std::atomic<int> countdown{0};   // the n-th move from now throws; 0: none
    static inline std::atomic<long> alive{0};

    int value;

    explicit fragile(int v) : value(v) { ++alive; }
    fragile(fragile&& other) : value(other.value) {
        throw_if_due();
        other.value = -1;
        ++alive;
    }
    fragile& operator=(fragile&& other) {
        throw_if_due();
        value = std::exchange(other.value, -1);
        return *this;
    }
    ~fragile() { --alive; }

  private:
    static void throw_if_due() {
        int n = countdown.load();
        while (n > 0 && !countdown.compare_exchange_weak(n, n - 1)) {
        }
        if (n == 1) throw std::runtime_error("fragile");
    }
};

// Throws from one move in eight, by its own random numbers.
struct unlucky {
    static inline std::atomic<std::uint64_t> dice{1};
    static inline std::atomic<bool> calm{false};
    static inline std::atomic<long> alive{0};

    int value;

    explicit unlucky(int v) : value(v) { ++alive; }
    unlucky(unlucky&& other) : value(other.value) {
        throw_sometimes();
        other.value = -1;
        ++alive;
    }
    unlucky& operator=(unlucky&& other) {
        throw_sometimes();
        value = std::exchange(other.value, -1);
        return *this;
    }
    ~unlucky() { --alive; }

  private:
    static void throw_sometimes() {
        std::uint64_t x = dice.fetch_add(0x9e3779b97f4a7c15u);
        x ^= x >> 31;
        x *= 0xbf58476d1ce4e5b9u;
        if (!calm && (x >> 61) == 0) throw std::runtime_error("unlucky");
    }
};

// Moves of the big ones may not be made under a lock, whatever they are.
struct big {
    std::array<std::uint64_t, 1000> words{};
};

template <std::size_t Align>
struct alignas(Align) aligned {
    static inline std::atomic<int> misplaced{0};
    int value;
    explicit aligned(int v) : value(v) { look(); }
    aligned(aligned&& other) noexcept : value(other.value) { look(); }
    aligned& operator=(aligned&&) = default;

  private:
    void look() const {
        if (reinterpret_cast<std::uintptr_t>(this) % Align != 0) ++misplaced;
    }
};

template <class F>
bool throws(F&& f) {
    try {
        f();
    } catch (const std::runtime_error&) {
        return true;
    }
    return false;
}

}  // namespace

TEST_CASE("C16 absurd capacities are rejected, values of size zero work at any") {
    in_run([](verdict& v) {
        const std::string range = "makechan: size out of range";
        EXPECT(panic_of([] { (void)make_chan<int>(static_cast<std::size_t>(-1)); }) == range);
        EXPECT(panic_of([] { (void)make_chan<int>(std::size_t{1} << 61); }) == range);
        EXPECT(panic_of([] { (void)make_chan<int>(std::size_t{1} << 48); }) == range);
        EXPECT(panic_of([] { (void)make_chan<char>(SIZE_MAX / 2 + 1); }) == range);
        EXPECT(panic_of([] { (void)make_chan<void>(static_cast<std::size_t>(-1)); }) == range);
        EXPECT(panic_of([] { (void)make_chan<empty_value>(SIZE_MAX); }) == range);

        const auto nothing = make_chan<void>(std::size_t{1} << 62);
        for (int i = 0; i < 1000; ++i) nothing.send();
        EXPECT(nothing.len() == 1000 && nothing.cap() == std::size_t{1} << 62);
        for (int i = 0; i < 1000; ++i) EXPECT(nothing.recv());
        EXPECT(nothing.len() == 0);

        for (const std::size_t capacity : {std::size_t{0}, std::size_t{1}, std::size_t{1} << 50}) {
            const auto c = make_chan<empty_value>(capacity);
            pirn::go([c] {
                for (int i = 0; i < 1000; ++i) c.send({});
                c.close();
            });
            int n = 0;
            while (c.recv() == empty_value{}) ++n;
            EXPECT(n == 1000);
        }
    });
}

TEST_CASE("C26 every value is destroyed exactly once") {
    in_run([](verdict& v) {
        const long alive = counted::alive, values = counted::values;
        const auto balanced = [&] { return counted::alive == alive && counted::values == values; };
        {   // Through the buffer, around its end.
            const auto c = make_chan<counted>(3);
            for (int i = 0; i < 10; ++i) {
                c.send(counted(i));
                c.send(counted(i));
                EXPECT(counted::values == values + 2 && counted::alive == alive + 2);
                (void)c.recv();
                counted out(5);
                EXPECT(c.try_recv(out) == recv_status::ok && out.value == i);
            }
        }
        EXPECT(balanced());
        {   // Left behind in a channel that is dropped, open or closed.
            const auto open = make_chan<counted>(4), closed = make_chan<counted>(4);
            for (int i = 0; i < 3; ++i) {
                open.send(counted(i));
                closed.send(counted(i));
            }
            (void)open.recv();
            open.send(counted(3));
            open.send(counted(4));
            closed.close();
            EXPECT(panic_of([&] { closed.send(counted(9)); }) == "send on closed channel");
        }
        EXPECT(balanced());
        for (const std::size_t capacity : {0u, 2u}) {
            // To a parked receiver, from a parked sender, and from one whom close wakes.
            const auto c = make_chan<counted>(capacity);
            crowd all;
            all.go([&] { EXPECT(c.recv().value().value == 1); });
            UNTIL(receivers_parked(c) == 1);
            c.send(counted(1));
            all.join();
            for (std::size_t i = 0; i < capacity; ++i) c.send(counted(2));
            for (int i = 0; i < 2; ++i)
                all.go([&] {
                    const std::string text = panic_of([&] { c.send(counted(2)); });
                    EXPECT(text == "none" || text == "send on closed channel");
                });
            UNTIL(senders_parked(c) == 2);
            EXPECT(c.recv()->value == 2);
            c.close();
            all.join();
        }
        EXPECT(balanced());
        {   // A failed try_send leaves the value alone.
            const auto c = make_chan<counted>(1);
            counted kept(7);
            c.send(counted(1));
            EXPECT(!c.try_send(std::move(kept)) && kept.value == 7);
            (void)c.recv();
            EXPECT(c.try_send(std::move(kept)) && kept.value == -1);
        }
        EXPECT(balanced());
    });
}

TEST_CASE("C27 move-only and over-aligned values") {
    in_run([](verdict& v) {
        for (const std::size_t capacity : {0u, 3u}) {
            const auto pointers = make_chan<std::unique_ptr<int>>(capacity);
            pirn::go([pointers] {
                for (int i = 0; i < 50; ++i) pointers.send(std::make_unique<int>(i));
                pointers.close();
            });
            int next = 0;
            for (const auto& p : pointers) EXPECT(*p == next++);
            EXPECT(next == 50);

            const auto wide = make_chan<aligned<128>>(capacity);
            pirn::go([wide] {
                for (int i = 0; i < 50; ++i) wide.send(aligned<128>(i));
                wide.close();
            });
            next = 0;
            while (const auto value = wide.recv()) EXPECT(value->value == next++);
            EXPECT(next == 50 && aligned<128>::misplaced == 0);

            const auto strings = make_chan<std::string>(capacity);
            pirn::go([strings] {
                for (int i = 0; i < 50; ++i) strings.send(std::string(50, 'a') + std::to_string(i));
                strings.close();
            });
            next = 0;
            for (const auto& s : strings) EXPECT(s.substr(50) == std::to_string(next++));

            const auto bigs = make_chan<big>(capacity);
            pirn::go([bigs] {
                for (std::uint64_t i = 0; i < 20; ++i) {
                    big value;
                    value.words.back() = i;
                    bigs.send(value);
                }
                bigs.close();
            });
            std::uint64_t last = 0;
            for (const big& value : bigs) EXPECT(value.words.back() == last++);
            EXPECT(last == 20);
        }
    });
}

TEST_CASE("C28 a move that throws loses no value and leaves the channel whole") {
    in_run([](verdict& v) {
        const long alive = fragile::alive;
        for (const std::size_t capacity : {0u, 2u}) {
            const auto c = make_chan<fragile>(capacity);
            // Sending: nothing was sent, and the value is as it was.
            fragile value(1);
            fragile::countdown = 1;
            EXPECT(throws([&] { c.send(std::move(value)); }) && value.value == 1);
            EXPECT(c.len() == 0 && senders_parked(c) == 0);
            // To a parked receiver: it goes on waiting.
            crowd all;
            std::atomic<int> got{0};
            all.go([&] { got = c.recv().value().value; });
            UNTIL(receivers_parked(c) == 1);
            fragile::countdown = 1;
            EXPECT(throws([&] { c.send(std::move(value)); }) && value.value == 1);
            fragile::countdown = 1;
            EXPECT(throws([&] { (void)c.try_send(std::move(value)); }) && value.value == 1);
            EXPECT(got == 0);
            UNTIL(receivers_parked(c) == 1);
            c.send(std::move(value));
            all.join();
            EXPECT(got == 1);

            // Receiving from a parked sender: the value comes with the next receive.
            for (std::size_t i = 0; i < capacity; ++i) c.send(fragile(static_cast<int>(i)));
            all.go([&] { c.send(fragile(static_cast<int>(capacity))); });
            UNTIL(senders_parked(c) == 1);
            for (std::size_t i = 0; i <= capacity; ++i) {
                const int expected = static_cast<int>(i);
                fragile::countdown = 1;
                EXPECT(throws([&] { (void)c.recv(); }));
                std::optional<fragile> out;
                fragile::countdown = 1;
                EXPECT(throws([&] { (void)c.try_recv(out); }) && !out);
                fragile target(77);
                fragile::countdown = 1;
                EXPECT(throws([&] { (void)c.try_recv(target); }) && target.value == 77);
                fragile::countdown = 1;
                EXPECT(throws([&] { (void)c.begin(); }));
                EXPECT(c.try_recv(target) == recv_status::ok && target.value == expected);
            }
            all.join();
            EXPECT(c.try_recv(value) == recv_status::empty);

            // Given back to a channel that another waits on, or that is closed, or dropped.
            fragile::countdown = 0;
            all.go([&] { c.send(fragile(5)); });
            fragile::countdown = 0;
            UNTIL(senders_parked(c) == 1 || c.len() == 1);
            fragile::countdown = 1;
            EXPECT(throws([&] { (void)c.recv(); }));
            all.join();
            c.close();
            fragile::countdown = 1;
            EXPECT(throws([&] { (void)c.recv(); }));
            EXPECT(c.recv()->value == 5);
            EXPECT(!c.recv().has_value());
            const auto dropped = make_chan<fragile>(1);
            dropped.send(fragile(6));
            fragile::countdown = 1;
            EXPECT(throws([&] { (void)dropped.recv(); }));
        }
        EXPECT(fragile::alive == alive);
    });
}

TEST_CASE("C28 among many goroutines and threads, one move in eight throwing") {
    seed("C28 (the order is the scheduler's)");
    in_run([](verdict& v) {
        const long alive = unlucky::alive;
        for (const std::size_t capacity : {0u, 1u, 4u}) {
            constexpr int k_senders = 4, k_values = 200;
            unlucky::calm = false;
            const auto c = make_chan<unlucky>(capacity);
            const auto done = make_chan<void>(k_senders);
            std::vector<std::atomic<int>> seen(k_senders * k_values);
            std::atomic<int> received{0};
            crowd all;
            const auto send = [&](int first) {
                for (int i = 0; i < k_values; ++i) {
                    unlucky value(first + i);
                    for (bool sent = false; !sent;) {
                        try {
                            sent = i % 3 == 0 && c.try_send(std::move(value));
                            if (!sent) c.send(std::move(value));
                            sent = true;
                        } catch (const std::runtime_error&) {
                            if (value.value != first + i) return;
                        }
                    }
                }
                done.send();
            };
            const auto receive = [&] {
                for (;;) {
                    try {
                        const auto value = c.recv();
                        if (!value) return;
                        ++seen[static_cast<std::size_t>(value->value)];
                        ++received;
                    } catch (const std::runtime_error&) {
                    }
                }
            };
            for (int s = 0; s < k_senders - 1; ++s) all.go([&, s] { send(s * k_values); });
            std::thread sender([&] { send((k_senders - 1) * k_values); });
            for (int r = 0; r < 2; ++r) all.go(receive);
            std::thread receiver(receive);
            for (int s = 0; s < k_senders; ++s) done.recv();
            UNTIL(received == k_senders * k_values);
            c.close();
            all.join();
            sender.join();
            receiver.join();
            for (const auto& n : seen) EXPECT(n == 1);
        }
        EXPECT(unlucky::alive == alive);
    });
}

TEST_CASE("C29 a channel of channels, and one that is sent to itself") {
    in_run([](verdict& v) {
        struct request {
            int number;
            chan<int> reply;
        };
        const auto requests = make_chan<request>();
        pirn::go([requests] {
            for (const request& r : requests) r.reply.send(r.number * 2);
        });
        for (int i = 0; i < 100; ++i) {
            const auto reply = make_chan<int>(1);
            requests.send({i, reply});
            EXPECT(reply.recv() == 2 * i);
        }
        requests.close();

        struct self_ref {
            chan<self_ref> c;
        };
        const auto own = make_chan<self_ref>(1);
        own.send({own});
        const auto same = own.recv();
        EXPECT(same->c == own);
        const auto unbuffered = make_chan<self_ref>();
        pirn::go([unbuffered] { unbuffered.send({unbuffered}); });
        EXPECT(unbuffered.recv()->c == unbuffered);
    });
}

TEST_CASE("C30 the last handle may go while others wait and wake") {
    in_run([](verdict& v) {
        struct owner {
            chan<int> c;
        };
        const long alive = counted::alive;
        for (int round = 0; round < 200; ++round) {
            crowd all;
            {   // The handle by which a receiver waits goes; a copy sends and goes.
                auto* o = new owner{make_chan<int>(0)};
                all.go([&v, o, round] { EXPECT(o->c.recv() == round); });
                UNTIL(receivers_parked(o->c) == 1);
                all.go([copy = o->c, o, round]() mutable {
                    delete o;
                    copy.send(round);
                    copy = nullptr;
                });
                all.join();
            }
            {   // The receiver destroys what the sender sends through, at once.
                auto* o = new owner{make_chan<int>(round % 2)};
                all.go([o] {
                    (void)o->c.recv();
                    delete o;
                });
                o->c.send(1);
                all.join();
            }
            {   // One of those whom close wakes lets go of the last handle.
                auto* o = new owner{make_chan<int>()};
                std::atomic<int> left{80};
                for (int i = 0; i < 80; ++i)
                    all.go([&left, o] {
                        (void)o->c.recv();
                        if (--left == 0) delete o;
                    });
                UNTIL(receivers_parked(o->c) == 80);
                o->c.close();
                all.join();
            }
            {   // Values in a buffer whose last handle is gone.
                auto c = make_chan<counted>(2);
                all.go([copy = c] { copy.send(counted(1)); });
                all.join();
                c = nullptr;
                EXPECT(counted::alive == alive);
            }
        }
    });
}

TEST_CASE("a channel outlives a run whose goroutines still wait on it") {
    on_procs([](int procs) {
        const auto c = make_chan<int>();
        const auto full = make_chan<counted>(1);
        const long alive = counted::alive;
        auto orphan = std::make_unique<chan<int>>(make_chan<int>());
        pirn::run(
            [&] {
                full.send(counted(1));
                for (int i = 0; i < 3; ++i) {
                    pirn::go([&c] { (void)c.recv(); });
                    pirn::go([&full] { full.send(counted(2)); });
                    pirn::go([o = orphan.get()] { (void)o->recv(); });
                }
                UNTIL(receivers_parked(c) == 3 && senders_parked(full) == 3 &&
                      receivers_parked(*orphan) == 3);
                orphan.reset();
            },
            {.procs = procs});
        REQUIRE(receivers_parked(c) == 0);
        REQUIRE(senders_parked(full) == 0);
        REQUIRE(!c.try_send(1));
        REQUIRE(full.recv()->value == 1);
        // The values of the three dropped senders stay where they stood.
        REQUIRE(counted::alive == alive + 3);
        counted::alive -= 3;
        counted::values -= 3;
        int got = 0;
        std::thread receiver([&] { got = c.recv().value(); });
        c.send(9);
        receiver.join();
        REQUIRE(got == 9);
    });
}

namespace {

template <class C, class T>
concept can_send = requires(const C& c, T value) { c.send(std::move(value)); };
template <class C, class T>
concept can_try_send = requires(const C& c, T value) { c.try_send(std::move(value)); };
template <class C>
concept can_close = requires(const C& c) { c.close(); };
template <class C>
concept can_recv = requires(const C& c) { c.recv(); };
template <class C, class T>
concept can_try_recv = requires(const C& c, T& out) { c.try_recv(out); };
template <class C>
concept can_iterate = requires(const C& c) { c.begin(); };

}  // namespace

TEST_CASE("C37 one-way handles do not compile for the other way") {
    static_assert(can_send<chan<int>, int> && can_recv<chan<int>> && can_close<chan<int>>);
    static_assert(can_send<send_chan<int>, int> && can_try_send<send_chan<int>, int> &&
                  can_close<send_chan<int>>);
    static_assert(!can_recv<send_chan<int>> && !can_try_recv<send_chan<int>, int> &&
                  !can_iterate<send_chan<int>>);
    static_assert(can_recv<recv_chan<int>> && can_try_recv<recv_chan<int>, int> &&
                  can_iterate<recv_chan<int>>);
    static_assert(!can_send<recv_chan<int>, int> && !can_try_send<recv_chan<int>, int> &&
                  !can_close<recv_chan<int>>);
    static_assert(!can_recv<send_chan<void>> && !can_close<recv_chan<void>>);

    static_assert(std::is_convertible_v<chan<int>, send_chan<int>>);
    static_assert(std::is_convertible_v<chan<int>, recv_chan<int>>);
    static_assert(!std::is_convertible_v<send_chan<int>, chan<int>>);
    static_assert(!std::is_convertible_v<recv_chan<int>, chan<int>>);
    static_assert(!std::is_convertible_v<send_chan<int>, recv_chan<int>>);
    static_assert(!std::is_convertible_v<chan<int>, recv_chan<long>>);
    static_assert(!std::is_convertible_v<chan<int>, bool>);
    static_assert(!std::is_convertible_v<pirn::detail::hchan*, chan<int>>);

    static_assert(std::ranges::input_range<const chan<int>>);
    static_assert(std::ranges::input_range<recv_chan<std::unique_ptr<int>>>);

    // Handles: nil, equality, copies, moves; without any runtime.
    const chan<int> nil;
    REQUIRE(!nil);
    REQUIRE(nil == nullptr);
    REQUIRE(nil == chan<int>(nullptr));
    auto c = make_chan<int>(1);
    const auto other = make_chan<int>(1);
    REQUIRE(static_cast<bool>(c));
    REQUIRE(c != nil);
    REQUIRE(c != other);
    auto copy = c;
    REQUIRE(copy == c);
    const send_chan<int> sends = c;
    const recv_chan<int> receives = c;
    REQUIRE(sends == c);
    REQUIRE(c == receives);
    REQUIRE(receives != recv_chan<int>(other));
    REQUIRE(std::unordered_set<chan<int>>{c, copy, other, other}.size() == 2);
    const auto moved = std::move(copy);
    REQUIRE(moved == c);
    REQUIRE(copy == nullptr);
    const recv_chan<int> taken = std::move(c);
    REQUIRE(taken == moved);
    REQUIRE(c == nullptr);
    c = moved;
    c = *&c;
    REQUIRE(c == moved);
    sends.send(3);
    REQUIRE(taken.recv() == 3);
}
