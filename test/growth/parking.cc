// SPDX-License-Identifier: MIT
// Goroutines that give way wherever their stacks have got to: at depth, in destructors, in the
// middle of foreign code, and on another thread than the one they grew on.
#include <unistd.h>

#include <atomic>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include <pirn/chan.h>
#include <pirn/debug.h>

#include "test/growth/foreign.h"
#include "test/growth/subject.h"

using growth::at_depth;
using growth::at_each_depth;
using growth::ballast;

namespace {

template <std::size_t Bytes>
GROWTH_OPAQUE int parks_in_frame_of(const pirn::chan<int>& c) {
    ballast<Bytes> room;
    pirn::yield();
    const int got = c.recv().value_or(-1);
    pirn::yield();
    return got + room.damage();
}

// Sends n, n - 1, … at depths n, n - 1, …, and receives them again on the way back.
GROWTH_OPAQUE int ping(int n, const pirn::chan<int>& out, const pirn::chan<int>& in) {
    ballast<150> room;
    out.send(n);
    const int below = n == 0 ? 0 : ping(n - 1, out, in);
    const int got = in.recv().value_or(-1000);
    return below + (got == n ? 1 : -1000) + room.damage();
}

// Parks while it is destroyed, in a frame of its own.
class parks_at_end {
  public:
    parks_at_end(const pirn::chan<int>& c, std::atomic<int>& sum) : c_(c), sum_(sum) {}
    parks_at_end(const parks_at_end&) = delete;
    parks_at_end& operator=(const parks_at_end&) = delete;
    ~parks_at_end() { sum_ += parks_in_frame_of<600>(c_); }

  private:
    const pirn::chan<int>& c_;
    std::atomic<int>& sum_;
};

GROWTH_OPAQUE void parks_while_unwinding(int frames, const pirn::chan<int>& c,
                                         std::atomic<int>& sum) {
    const parks_at_end p(c, sum);
    ballast<300> room;
    if (frames == 0) throw std::runtime_error("parked on the way");
    parks_while_unwinding(frames - 1, c, sum);
    sum += 100'000 + room.damage();
}

GROWTH_SUBJECT("parking: in frames of all sizes") {
    const auto numbers = pirn::make_chan<int>();
    const auto sums = pirn::make_chan<int>();
    growth::start([=] {
        int sum = 0;
        auto parks = [&] {
            sum += parks_in_frame_of<16>(numbers);
            sum += parks_in_frame_of<1000>(numbers);
            sum += parks_in_frame_of<3000>(numbers);
            sum += parks_in_frame_of<100'000>(numbers);
        };
        at_each_depth(parks);
        sums.send(sum);
    });
    for (int i = 0; i < 4 * (growth::k_every_depth + 1); ++i) numbers.send(1);
    EXPECT(sums.recv() == 4 * (growth::k_every_depth + 1));
}

GROWTH_SUBJECT("parking: a deep sender and a deep receiver") {
    const auto out = pirn::make_chan<int>(), in = pirn::make_chan<int>();
    const auto sums = pirn::make_chan<int>();
    growth::start([=] { sums.send(ping(300, out, in)); });
    for (int n = 300; n >= 0; --n) EXPECT(out.recv() == n);
    at_depth(100, [&] {
        for (int n = 0; n <= 300; ++n) in.send(n);
    });
    EXPECT(sums.recv() == 301);
}

GROWTH_SUBJECT("parking: in destructors, also of frames that are unwound") {
    const auto numbers = pirn::make_chan<int>();
    std::atomic<int> sum{0};
    growth::crowd all;
    for (int i = 0; i < 4; ++i) {
        all.start([&, i] {
            at_depth(i, [&] { const parks_at_end p(numbers, sum); });
            try {
                parks_while_unwinding(20, numbers, sum);
            } catch (const std::runtime_error&) {
                sum += 1000;
            }
        });
    }
    for (int i = 0; i < 4 * 22; ++i) numbers.send(1);
    all.wait();
    EXPECT(sum == 4 * 1022);
}

struct errand {
    const pirn::chan<int>* from;
    int sum = 0;
};

GROWTH_OPAQUE int run_errand(void* context, int n) {
    auto& e = *static_cast<errand*>(context);
    ballast<200> room;
    e.sum += e.from->recv().value_or(-1000) + room.damage();
    if (n > 0) foreign::call_with(&run_errand, &e, n - 1);
    pirn::yield();
    return e.sum;
}

GROWTH_SUBJECT("parking: below foreign frames, layer by layer") {
    const auto numbers = pirn::make_chan<int>();
    const auto sums = pirn::make_chan<int>();
    for (int i = 0; i < 4; ++i) {
        growth::start([=] {
            errand e{&numbers};
            sums.send(foreign::call_with(&run_errand, &e, 30));
        });
    }
    for (int i = 0; i < 4 * 31; ++i) numbers.send(1);
    for (int i = 0; i < 4; ++i) EXPECT(sums.recv() == 31);
}

// The compiler takes a thread's identity for constant within a function.
GROWTH_OPAQUE long this_thread() { return ::gettid(); }

// Climbs down and up at random, giving way at each step; wrong if a frame does not find its own.
class wanderer {
  public:
    wanderer(unsigned seed, int steps) : random_(seed), left_(steps) {}

    GROWTH_OPAQUE int wander(int depth) {
        ballast<100> room;
        const long first_thread = this_thread();
        int wrong = 0;
        while (left_ > 0) {
            --left_;
            pirn::yield();
            if (this_thread() != first_thread) ++moves;
            const unsigned what = random_() % 8;
            if (what < 4 && depth < 400) {
                wrong += what == 0 ? far_away(depth) : wander(depth + 1);
            } else if (what == 4) {
                wrong += foreign::deep(30) - 30;
            } else if (depth > 0) {
                break;
            }
        }
        return wrong + room.damage();
    }

    int moves = 0;

  private:
    GROWTH_OPAQUE int far_away(int depth) {
        ballast<5000> room;
        return wander(depth + 1) + room.damage();
    }

    std::minstd_rand random_;
    int left_;
};

GROWTH_SUBJECT("parking: wandering up and down, from thread to thread", true) {
    std::atomic<int> wrong{0}, moves{0};
    growth::crowd all;
    for (unsigned i = 0; i < 64; ++i) {
        all.start([&, i] {
            wanderer w(i + 1, 400);
            wrong += w.wander(0);
            moves += w.moves;
        });
    }
    all.wait();
    EXPECT(wrong == 0);
    // With one P there is one thread that runs goroutines at a time, but not always the same.
}

GROWTH_OPAQUE int grows_here_returns_there(int frames, const pirn::chan<void>& go_on,
                                           long& grown_on, long& returned_on) {
    ballast<700> room;
    if (frames > 0)
        return grows_here_returns_there(frames - 1, go_on, grown_on, returned_on) + 1 +
               room.damage();
    grown_on = this_thread();
    (void)go_on.recv();
    returned_on = this_thread();
    return room.damage();
}

// Keeps a P busy, so that what was woken there is taken by another.
GROWTH_SUBJECT("parking: grown on one thread, returned on another") {
    std::atomic<int> right{0}, moved{0};
    for (int round = 0; round < 20; ++round) {
        growth::crowd all;
        const auto go_on = pirn::make_chan<void>();
        for (int i = 0; i < 16; ++i) {
            all.start([&, i] {
                long grown_on = 0, returned_on = 0;
                right += grows_here_returns_there(10 + i, go_on, grown_on, returned_on) == 10 + i;
                moved += grown_on != returned_on;
                right += at_depth(100, [] {}) == 100;
            });
        }
        go_on.close();
        all.wait();
    }
    EXPECT(right == 20 * 16 * 2);
}

GROWTH_OPAQUE long swaps(int depth, int times, const pirn::chan<long>& c, bool sends_first) {
    ballast<120> room;
    if (depth > 0) return swaps(depth - 1, times, c, sends_first) + room.damage();
    long sum = 0;
    for (int i = 0; i < times; ++i) {
        if (sends_first) c.send(i);
        sum += c.recv().value_or(-100'000);
        if (!sends_first) c.send(i);
    }
    return sum + room.damage();
}

GROWTH_SUBJECT("parking: a thousand goroutines swap values at random depths", true) {
    std::minstd_rand random(7);
    std::atomic<long> sum{0};
    growth::crowd all;
    // Two for each channel, so that what one sends the other gets.
    for (int pair = 0; pair < 500; ++pair) {
        const auto c = pirn::make_chan<long>();
        for (const bool sends_first : {true, false}) {
            const int depth = static_cast<int>(random() % 80);
            all.start([&, c, depth, sends_first] { sum += swaps(depth, 20, c, sends_first); });
        }
    }
    all.wait();
    EXPECT(sum == 1000L * 190);
}

GROWTH_SUBJECT("parking: goroutines started at depth, and by those in turn") {
    std::atomic<int> ended{0};
    growth::crowd all;
    struct starter {
        static void start(growth::crowd& all, std::atomic<int>& ended, int generations) {
            at_depth(200, [&] {
                for (int i = 0; i < 3 && generations > 0; ++i)
                    all.start([&, generations] { start(all, ended, generations - 1); });
            });
            ++ended;
        }
    };
    starter::start(all, ended, 5);
    all.wait();
    EXPECT(ended == 1 + 3 + 9 + 27 + 81 + 243);
}

// They are dropped where they stand when the run ends, and every stack is given back (which the
// host checks).
GROWTH_SUBJECT("parking: left behind at depth") {
    const auto never = pirn::make_chan<int>();
    const auto here = pirn::make_chan<void>();
    for (int i = 0; i < 50; ++i) {
        growth::start([=] {
            at_depth(i * 3, [&] {
                here.send();
                (void)parks_in_frame_of<10'000>(never);
            });
        });
    }
    for (int i = 0; i < 50; ++i) EXPECT(here.recv());
    for (int i = 0; i < 100; ++i) pirn::yield();
}

// A thousand, each with a chain of calls behind it, waiting on small stacks again.
GROWTH_SUBJECT("parking: many that were deep and came back") {
    const auto never = pirn::make_chan<int>();
    std::atomic<int> waiting{0}, right{0};
    growth::crowd all;
    for (int i = 0; i < 1000; ++i) {
        all.start([&, i] {
            right += at_depth(i % 60, [] {}) == i % 60;
            ++waiting;
            (void)never.recv();
            right += at_depth(i % 50, [] {}) == i % 50;
        });
    }
    while (waiting != 1000) pirn::yield();
    never.close();
    all.wait();
    EXPECT(right == 2000);
}

}  // namespace
