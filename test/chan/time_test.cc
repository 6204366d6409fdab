// SPDX-License-Identifier: MIT
// Timers, tickers and after_func: what each operation does. Those on the heap and on sleeping are
// in test/runtime/timer_test.cc, those among many goroutines in time_race_test.cc.
#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <pirn/debug.h>
#include <pirn/time.h>

#include "test/chan/verdict.h"

using namespace pirn::test;
using namespace std::chrono_literals;
using steady = pirn::clock;
using pirn::make_chan;
using pirn::recv_chan;
using pirn::recv_status;
using pirn::ticker;
using pirn::timer;

namespace {

recv_status poll(const recv_chan<steady::time_point>& c) {
    steady::time_point out;
    return c.try_recv(out);
}

// Whether the timer has fired, and nobody has received it.
bool holds_value(const recv_chan<steady::time_point>& c) {
    return pirn::detail::chan_access::of(c)->count.load(std::memory_order_acquire) == 1;
}

}  // namespace

TEST_CASE("T01 timers on channels are never early; zero and negative ones fire at once") {
    in_run([](verdict& v) {
        for (const auto d : {1us, 300us, 4000us}) {
            const auto start = steady::now();
            const auto by_after = pirn::after(d).recv();
            EXPECT(steady::now() - start >= d);
            EXPECT(by_after.value() - start >= d);
            const timer t(d);
            EXPECT(t.c.recv().value() - start >= 2 * d);
        }
        for (const auto d : {0h, -1h, std::chrono::hours::min()}) {
            EXPECT(pirn::after(d).recv().has_value());
            const auto fired = timer(d).c.recv().value();
            EXPECT(fired <= steady::now());
        }
    });
}

TEST_CASE("T02 huge durations saturate on channels, too") {
    in_run([](verdict& v) {
        std::atomic<int> calls{0};
        const std::vector<timer> timers{
            timer(std::chrono::hours::max()), timer(std::chrono::nanoseconds::max()),
            timer(std::chrono::duration<double>(1e300)),
            pirn::after_func(std::chrono::years::max(), [&] { ++calls; })};
        const ticker ticks(std::chrono::hours::max());
        pirn::sleep_for(20ms);
        for (const timer& t : timers) {
            if (t.c) EXPECT(poll(t.c) == recv_status::empty);
            EXPECT(t.reset(std::chrono::duration<float, std::ratio<86400>>(1e30f)));
            EXPECT(t.stop());
        }
        EXPECT(poll(ticks.c) == recv_status::empty);
        EXPECT(calls == 0);
    });
}

TEST_CASE("T03 timers fire once, in the order of their deadlines; equal ones all fire") {
    on_procs([](int procs) {
        verdict v;
        pirn::run([&] {
            struct one {
                steady::duration d{};
                steady::time_point before, after;
                recv_chan<steady::time_point> c;
                std::optional<steady::time_point> fired;
            };
            std::vector<one> all;
            for (const int ms : {12, 5, 9, 1, 7, 3, 11, 2, 5, 5, 8, 1}) {
                one o;
                o.d = ms * 1ms;
                o.before = steady::now();
                o.c = pirn::after(o.d);
                o.after = steady::now();
                all.push_back(std::move(o));
            }
            for (one& o : all) o.fired = o.c.recv();
            for (const one& a : all) {
                EXPECT(a.fired.value() >= a.before + a.d);
                EXPECT(poll(a.c) == recv_status::empty);
                // With one P they are in one heap, so that the order is exact.
                for (const one& b : all)
                    if (procs == 1 && a.after + a.d <= b.before + b.d) EXPECT(a.fired <= b.fired);
            }
        }, {.procs = procs});
        CHECK(v.text() == "");
    });
}

TEST_CASE("T04 T05 stop prevents what is to come or to be received, and says so once") {
    in_run([](verdict& v) {
        const timer pending(1h);
        EXPECT(pending.stop());
        EXPECT(!pending.stop());
        const timer received(1us);
        EXPECT(received.c.recv().has_value());
        EXPECT(!received.stop());
        // It has fired, but its value will not be received.
        const timer fired(1us);
        UNTIL(holds_value(fired.c));
        EXPECT(fired.stop());
        EXPECT(!fired.stop());
        EXPECT(poll(fired.c) == recv_status::empty);
        // Copies name the same timer, also when its channel's handle was given away.
        timer first(1h), second = first;
        const auto c = std::move(second.c);
        EXPECT(c == first.c);
        EXPECT(second.stop());
        EXPECT(!first.stop());
        const timer stolen = std::move(first);
        EXPECT(panic_of([&] { first.stop(); }) == "time: Stop called on uninitialized Timer");
        EXPECT(panic_of([&] { first.reset(1s); }) == "time: Reset called on uninitialized Timer");
    });
}

TEST_CASE("T06 reset says whether the timer was armed, and arms it earlier and later") {
    in_run([](verdict& v) {
        const timer t(1h);
        EXPECT(t.reset(1ms));  // earlier
        EXPECT(t.c.recv().has_value());
        EXPECT(!t.reset(1ms));
        auto start = steady::now();
        EXPECT(t.reset(30ms));  // later; true also if it has fired meanwhile
        EXPECT(t.c.recv().value() - start >= 30ms);
        EXPECT(!t.stop());
        EXPECT(!t.reset(1h));
        EXPECT(t.reset(-1h));
        EXPECT(t.c.recv().has_value());
        // One that waits for another is moved before it, again and again.
        const timer late(1h);
        for (int i = 0; i < 50; ++i) {
            start = steady::now();
            late.reset(1h);
            EXPECT(late.reset(100us));
            EXPECT(late.c.recv().value() - start >= 100us);
        }
    });
}

TEST_CASE("T07 a timer's channel looks unbuffered, also with a value in it") {
    in_run([](verdict& v) {
        const timer t(1us);
        const ticker ticks(1us);
        for (const auto& c : {t.c, ticks.c}) {
            UNTIL(holds_value(c));
            EXPECT(c.len() == 0);
            EXPECT(c.cap() == 0);
            EXPECT(poll(c) == recv_status::ok);
        }
    });
}

TEST_CASE("T09 after_func calls in a goroutine of its own, which stop does not wait for") {
    in_run([](verdict& v) {
        const auto here = pirn::goroutine_id();
        const auto began = make_chan<std::uint64_t>(), go_on = make_chan<std::uint64_t>();
        std::atomic<bool> ended{false};
        const timer t = pirn::after_func(1ms, [&] {
            began.send(pirn::goroutine_id());
            (void)go_on.recv();
            ended = true;
        });
        EXPECT(!t.c);
        EXPECT(began.recv().value() != here);
        EXPECT(!t.stop());
        EXPECT(!ended);
        // A second call while the first one runs.
        EXPECT(!t.reset(1ms));
        EXPECT(began.recv().value() != here);
        go_on.send(1);
        go_on.send(1);
        UNTIL(ended.load());
        EXPECT(!t.stop());
        const timer never = pirn::after_func(1h, [&] { EXPECT(false); });
        EXPECT(never.stop());
        EXPECT(!never.stop());
    });
}

TEST_CASE("T09 a call may reset and stop its own timer; its function is destroyed once") {
    in_run([](verdict& v) {
        const auto token = std::make_shared<int>(0);
        {
            // The function is called when the timer is there: by its handle, through a channel.
            const auto handle = make_chan<timer>(1), done = make_chan<timer>(1);
            handle.send(pirn::after_func(100us, [&v, handle, done, token, calls = 0]() mutable {
                timer self = handle.recv().value();
                EXPECT(!self.stop());
                if (++calls == 5) {
                    done.send(std::move(self));
                    return;
                }
                EXPECT(!self.reset(1h));
                EXPECT(self.reset(100us));
                handle.send(std::move(self));
            }));
            EXPECT(!done.recv()->stop());
        }
        UNTIL(token.use_count() == 1);
        // Move-only, and its handle is dropped: that stops nothing.
        const auto value = make_chan<int>();
        pirn::after_func(1ms, [value, token, p = std::make_unique<int>(7)] { value.send(*p); });
        EXPECT(value.recv() == 7);
        UNTIL(token.use_count() == 1);
        // Stopped, with and without a handle that outlives it.
        const auto t = std::make_unique<timer>(pirn::after_func(1h, [token] { (void)*token; }));
        EXPECT(token.use_count() == 2);
        EXPECT(t->stop());
        pirn::after_func(1h, [token] { (void)*token; }).stop();
        EXPECT(token.use_count() == 2);
    });
}

TEST_CASE("T11 a ticker ticks by its period, and not more often") {
    in_run([](verdict& v) {
        auto start = steady::now();
        const ticker t(2ms);
        for (int i = 1; i <= 5; ++i) EXPECT(t.c.recv().value() - start >= i * 2ms);
        start = steady::now();
        t.reset(5ms);
        EXPECT(poll(t.c) == recv_status::empty || steady::now() - start >= 5ms);
        start = steady::now();
        t.reset(5ms);
        for (int i = 1; i <= 3; ++i) EXPECT(t.c.recv().value() - start >= i * 5ms);
        // By tick, whose ticker only its channel refers to.
        start = steady::now();
        const auto ticks = pirn::tick(1ms);
        for (int i = 1; i <= 3; ++i) EXPECT(ticks.recv().value() - start >= i * 1ms);
    });
}

TEST_CASE("T11 a ticker drops ticks for a slow receiver") {
    in_run([](verdict& v) {
        const auto period = 10ms;
        const ticker t(period);
        pirn::sleep_for(8 * period);
        const auto start = steady::now();
        int received = 0;
        for (int i = 0; i < 8; ++i) received += poll(t.c) == recv_status::ok;
        EXPECT(received >= 1);
        // One has waited; others only if they fell due meanwhile.
        EXPECT(received <= 2 + (steady::now() - start) / period);
    });
}

TEST_CASE("T11 stop does not close a ticker's channel; a period must be positive") {
    in_run([](verdict& v) {
        const ticker t(100us);
        EXPECT(t.c.recv().has_value());
        UNTIL(holds_value(t.c));
        t.stop();
        EXPECT(poll(t.c) == recv_status::empty);
        pirn::sleep_for(2ms);
        EXPECT(poll(t.c) == recv_status::empty);
        t.stop();
        t.reset(1ms);
        EXPECT(t.c.recv().has_value());
        for (const auto d : {0ns, -1ns, std::chrono::nanoseconds(-5h)}) {
            EXPECT(panic_of([&] { ticker{d}; }) == "non-positive interval for NewTicker");
            EXPECT(panic_of([&] { t.reset(d); }) == "non-positive interval for Ticker.Reset");
            EXPECT(!pirn::tick(d));
        }
        // The panic has left it as it was.
        EXPECT(t.c.recv().has_value());
        // A part of a nanosecond is one.
        const ticker fast(std::chrono::duration<double, std::nano>(0.1));
        EXPECT(fast.c.recv().has_value());
    });
}

TEST_CASE("T13 channels of timers receive while every P is busy") {
    on_procs([](int procs) {
        verdict v;
        pirn::run([&] {
            std::atomic<bool> stop{false};
            crowd all;
            for (int i = 0; i < 2 * procs; ++i)
                all.go([&] {
                    while (!stop) pirn::checkpoint();
                });
            const ticker t(1ms);
            std::atomic<int> calls{0};
            for (int i = 0; i < 3; ++i) {
                pirn::after_func(1ms, [&] { ++calls; });
                EXPECT(t.c.recv().has_value());
                EXPECT(pirn::after(1ms).recv().has_value());
            }
            UNTIL(calls == 3);
            stop = true;
            all.join();
        }, {.procs = procs});
        CHECK(v.text() == "");
    });
}

TEST_CASE("T14 a timer's channel wakes an idle process promptly") {
    in_run([](verdict& v) {
        std::array<steady::duration, 31> late{};
        for (auto& l : late) {
            const auto due = steady::now() + 2ms;
            (void)pirn::after(2ms).recv();
            l = steady::now() - due;
        }
        std::sort(late.begin(), late.end());
        // The median, since the machine may be busy.
        EXPECT(late[late.size() / 2] < 20ms);
    });
}

TEST_CASE("T15 T16 who waits for a sleeper or for a timer is not in a deadlock") {
    in_run([](verdict& v) {
        const auto c = make_chan<int>();
        pirn::go([c] {
            pirn::sleep_for(30ms);
            c.send(1);
        });
        EXPECT(c.recv() == 1);
        EXPECT(pirn::after(30ms).recv().has_value());
        pirn::after_func(30ms, [c] { c.send(2); });
        EXPECT(c.recv() == 2);
        const ticker t(15ms);
        for (int i = 0; i < 2; ++i) EXPECT(t.c.recv().has_value());
    });
}

TEST_CASE("T18 what was written before arming is visible to who receives, and to the call") {
    in_run([](verdict& v) {
        for (int i = 0; i < 200; ++i) {
            // Plain words: the thread sanitizer looks as well.
            int by_timer = 0, by_call = 0, by_reset = 0;
            const auto done = make_chan<void>();
            by_call = i;
            pirn::after_func(1us, [&] {
                EXPECT(by_call == i);
                done.send();
            });
            const timer t(1h);
            by_timer = i;
            const auto c = pirn::after(1us);
            pirn::go([&v, &by_timer, c, done, i] {
                (void)c.recv();
                EXPECT(by_timer == i);
                done.send();
            });
            pirn::go([&] {
                (void)t.c.recv();
                EXPECT(by_reset == i);
                done.send();
            });
            by_reset = i;
            t.reset(1us);
            for (int k = 0; k < 3; ++k) EXPECT(done.recv());
        }
    });
}

TEST_CASE("without a runtime arming throws panic, and all else works") {
    const char* const text = "timer: no runtime is running";
    CHECK(panic_of([] { timer{1ms}; }) == text);
    CHECK(panic_of([] { ticker{1ms}; }) == text);
    CHECK(panic_of([] { (void)pirn::after(1ms); }) == text);
    const auto token = std::make_shared<int>(0);
    CHECK(panic_of([&] { pirn::after_func(1ms, [token] { (void)*token; }); }) == text);
    CHECK(token.use_count() == 1);
    on_procs([&](int procs) {
        std::optional<timer> armed, fired, call;
        std::optional<ticker> ticks;
        pirn::run([&] {
            armed.emplace(1h);
            fired.emplace(1us);
            ticks.emplace(1us);
            call = pirn::after_func(1h, [token] { (void)*token; });
            UNTIL(holds_value(fired->c));
            UNTIL(holds_value(ticks->c));
        }, {.procs = procs});
        // The run has disarmed them, and taken nothing back that was sent.
        CHECK(poll(armed->c) == recv_status::empty);
        CHECK(armed->stop());
        CHECK(!armed->stop());
        CHECK(poll(fired->c) == recv_status::ok);
        CHECK(panic_of([&] { fired->reset(1ms); }) == text);
        CHECK(poll(ticks->c) == recv_status::ok);
        CHECK(call->stop());
        // They are as good as new in the next run.
        verdict v;
        pirn::run([&] {
            for (const auto* t : {&*armed, &*fired}) {
                EXPECT(!t->reset(1ms));
                EXPECT(t->c.recv().has_value());
            }
            ticks->reset(1ms);
            EXPECT(ticks->c.recv().has_value());
        }, {.procs = procs});
        CHECK(v.text() == "");
        call.reset();
        CHECK(token.use_count() == 1);
    });
}

TEST_CASE("the end of a run destroys functions that are to be called, and have no handle") {
    // Says when it goes.
    struct goes {
        std::atomic<int>* gone;
        explicit goes(std::atomic<int>& g) : gone(&g) {}
        goes(goes&& other) noexcept : gone(std::exchange(other.gone, nullptr)) {}
        ~goes() {
            if (gone != nullptr) ++*gone;
        }
    };
    constexpr int k_calls = 100;
    on_procs([&](int procs) {
        std::atomic<int> gone{0}, called{0};
        std::optional<timer> held, stopped;
        const auto function = [&] { return [&called, g = goes(gone)] { ++called; }; };
        pirn::run([&] {
            held = pirn::after_func(1h, function());
            stopped = pirn::after_func(1h, function());
            stopped->stop();
            for (int i = 0; i < k_calls; ++i) pirn::after_func(1h, function());
            // Those that fire meanwhile go with their goroutines, or here.
            for (int i = 0; i < 20; ++i)
                pirn::after_func(std::chrono::microseconds(10 * i), [&] { ++called; });
        }, {.procs = procs});
        CHECK(gone == k_calls);
        CHECK(called <= 20);
        // One that has a handle may be armed again in another run.
        CHECK(held->stop());
        CHECK(!held->stop());
        CHECK(!stopped->stop());
        CHECK(gone == k_calls);
        verdict v;
        pirn::run([&] {
            called = 0;
            EXPECT(!stopped->reset(1us));
            UNTIL(called == 1 && pirn::num_goroutine() == 1);
            EXPECT(!held->reset(1h));
        }, {.procs = procs});
        CHECK(v.text() == "");
        CHECK(gone == k_calls);
        stopped.reset();
        held.reset();
        CHECK(gone == k_calls + 2);
    });
}
