// SPDX-License-Identifier: MIT
// Coroutines as waiters on channels, beside goroutines and threads, by each kind of executor.
#include <condition_variable>
#include <coroutine>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <pirn/coro.h>
#include <pirn/time.h>

#include "test/chan/verdict.h"

using namespace pirn::test;
using namespace std::chrono_literals;
using pirn::chan;
using pirn::make_chan;
using pirn::recv_chan;
using pirn::resumption;
using pirn::send_chan;
using pirn::via;

namespace {

// Starts at once and is gone at its end.
struct detached {
    struct promise_type {
        detached get_return_object() { return {}; }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() { std::terminate(); }
    };
};

// Owned by a handle, which may destroy it while it waits.
struct owned {
    struct promise_type {
        owned get_return_object() {
            return {std::coroutine_handle<promise_type>::from_promise(*this)};
        }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_always final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() { std::terminate(); }
    };
    std::coroutine_handle<promise_type> handle;
};

// Goes on where it is completed.
struct at_once {
    void operator()(resumption resume) const { resume(); }
};

// One thread of its own, with a queue: what an event loop is.
class loop {
  public:
    loop() : thread_([this] { serve(); }) {}
    ~loop() {
        post(std::nullopt);
        thread_.join();
    }
    void operator()(resumption resume) { post(resume); }
    std::thread::id id() const { return thread_.get_id(); }

  private:
    void post(std::optional<resumption> r) {
        const std::lock_guard hold(mutex_);
        queue_.push_back(r);
        filled_.notify_one();
    }
    void serve() {
        for (;;) {
            std::unique_lock hold(mutex_);
            filled_.wait(hold, [this] { return !queue_.empty(); });
            const auto next = queue_.front();
            queue_.pop_front();
            hold.unlock();
            if (!next) return;
            (*next)();
        }
    }

    std::mutex mutex_;
    std::condition_variable filled_;
    std::deque<std::optional<resumption>> queue_;
    std::thread thread_;
};

// Each on a goroutine of its own.
struct on_goroutine {
    void operator()(resumption resume) const { pirn::go(resume); }
};

// Calls f with each kind of executor.
template <class F>
void with_executors(F f) {
    f(at_once{});
    f(on_goroutine{});
    loop l;
    f(std::ref(l));
}

template <class Ch, class Sum>
detached sum_up(Ch ch, Sum& sum, std::atomic<int>& ended) {
    while (auto v = co_await ch.recv()) sum += *v;
    ++ended;
}

template <class Ch>
detached send_all(Ch ch, int from, int to, std::atomic<int>& ended) {
    for (int i = from; i < to; ++i) co_await ch.send(i);
    ++ended;
}

}  // namespace

TEST_CASE("coroutines receive what goroutines send, and see the end") {
    in_run([](verdict& v) {
        with_executors([&](auto executor) {
            for (const std::size_t capacity : {0, 1, 7}) {
                const auto c = make_chan<int>(capacity);
                std::atomic<long> sum{0};
                std::atomic<int> ended{0};
                sum_up(via(c, executor), sum, ended);
                for (int i = 1; i <= 100; ++i) c.send(i);
                c.close();
                UNTIL(ended == 1);
                EXPECT(sum == 5050);
            }
        });
    });
}

TEST_CASE("coroutines send what goroutines receive") {
    in_run([](verdict& v) {
        with_executors([&](auto executor) {
            for (const std::size_t capacity : {0, 1, 7}) {
                const auto c = make_chan<int>(capacity);
                std::atomic<int> ended{0};
                send_all(via(send_chan<int>(c), executor), 0, 100, ended);
                for (int i = 0; i < 100; ++i) EXPECT(c.recv() == i);
                UNTIL(ended == 1);
            }
        });
    });
}

TEST_CASE("coroutines among themselves, without any runtime") {
    const auto there = make_chan<int>(), back = make_chan<int>();
    std::atomic<int> ended{0};
    std::atomic<long> sum{0};
    {
        loop a, b;
        [](auto in, auto out, auto& done) -> detached {
            while (auto n = co_await in.recv()) co_await out.send(*n + 1);
            out.close();
            ++done;
        }(via(there, std::ref(a)), via(back, std::ref(a)), ended);
        [](auto out, auto in, auto& total, auto& done) -> detached {
            for (int i = 0; i < 1000; ++i) {
                co_await out.send(i);
                total += *co_await in.recv();
            }
            out.close();
            ++done;
        }(via(there, std::ref(b)), via(back, std::ref(b)), sum, ended);
        while (ended != 2) std::this_thread::yield();
    }
    CHECK(sum == 500'500);
}

TEST_CASE("a coroutine goes on where its executor says, and only there") {
    in_run([](verdict& v) {
        loop l;
        const auto c = make_chan<int>(), seen = make_chan<int>(100);
        std::atomic<bool> elsewhere{false};
        [](auto in, auto out, const loop& where, auto& wrong) -> detached {
            // The first wait is begun by who calls.
            for (bool first = true;; first = false) {
                const auto n = co_await in.recv();
                if (!n) break;
                if (!first && std::this_thread::get_id() != where.id()) wrong = true;
                co_await out.send(*n);
            }
        }(via(c, std::ref(l)), via(seen, std::ref(l)), l, elsewhere);
        for (int i = 0; i < 50; ++i) {
            UNTIL(receivers_parked(c) == 1);
            c.send(i);
            EXPECT(seen.recv() == i);
        }
        UNTIL(receivers_parked(c) == 1);
        c.close();
        EXPECT(!elsewhere);
    });
}

TEST_CASE("coroutines wait in line with goroutines") {
    in_run([](verdict& v) {
        const auto c = make_chan<int>();
        std::vector<int> got(6, -1);
        std::atomic<int> ended{0};
        crowd all;
        for (std::size_t i = 0; i < got.size(); ++i) {
            if (i % 2 == 0)
                all.go([&, i] { got[i] = *c.recv(); });
            else
                [](auto ch, int& out, auto& done) -> detached {
                    out = *co_await ch.recv();
                    ++done;
                }(via(recv_chan<int>(c), at_once{}), got[i], ended);
            UNTIL(receivers_parked(c) == i + 1);
        }
        for (int i = 0; i < 6; ++i) c.send(i);
        all.join();
        UNTIL(ended == 3);
        EXPECT((got == std::vector<int>{0, 1, 2, 3, 4, 5}));
    });
}

TEST_CASE("a coroutine that sends on a closed channel gets the panic, before and while it waits") {
    in_run([](verdict& v) {
        with_executors([&](auto executor) {
            const auto c = make_chan<int>();
            std::atomic<int> panics{0};
            const auto sender = [](auto ch, auto& count) -> detached {
                try {
                    co_await ch.send(1);
                } catch (const pirn::panic& p) {
                    if (std::string(p.what()) == "send on closed channel") ++count;
                }
            };
            sender(via(c, executor), panics);
            UNTIL(senders_parked(c) == 1);
            c.close();
            UNTIL(panics == 1);
            sender(via(c, executor), panics);
            EXPECT(panics == 2);
        });
    });
}

TEST_CASE("chan<void>, move-only values, and values that are destroyed once") {
    in_run([](verdict& v) {
        const long alive = counted::alive, values = counted::values;
        with_executors([&](auto executor) {
            const auto none = make_chan<void>();
            const auto pointers = make_chan<std::unique_ptr<int>>();
            const auto counts = make_chan<counted>();
            std::atomic<int> ended{0};
            [](auto a, auto b, auto c, auto& done) -> detached {
                while (co_await a.recv()) {}
                co_await b.send(std::make_unique<int>(7));
                co_await c.send(counted(8));
                if ((co_await c.recv())->value == 9) ++done;
            }(via(none, executor), via(pointers, executor), via(counts, executor), ended);
            none.send();
            none.send();
            none.close();
            EXPECT(**pointers.recv() == 7);
            EXPECT(counts.recv()->value == 8);
            counts.send(counted(9));
            UNTIL(ended == 1);
        });
        EXPECT(counted::alive == alive);
        EXPECT(counted::values == values);
    });
}

TEST_CASE("a value whose move throws in a coroutine is the first in the channel again") {
    in_run([](verdict& v) {
        const auto c = make_chan<brittle>(2);
        std::atomic<int> thrown{0}, got{0};
        const auto receiver = [](auto ch, auto& throws, auto& out) -> detached {
            try {
                out = (co_await ch.recv())->value;
            } catch (const std::runtime_error&) {
                ++throws;
            }
        };
        c.send(brittle(1));
        c.send(brittle(2));
        brittle::armed = true;
        receiver(via(c, at_once{}), thrown, got);
        brittle::armed = false;
        EXPECT(thrown == 1);
        receiver(via(c, at_once{}), thrown, got);
        EXPECT(got == 1);
        EXPECT(c.recv()->value == 2);
        // One that waits for what a try_send begins to move, which then throws, waits on.
        receiver(via(c, on_goroutine{}), thrown, got);
        UNTIL(receivers_parked(c) == 1);
        brittle::armed = true;
        brittle three(3);
        bool move_threw = false;
        try {
            c.try_send(std::move(three));
        } catch (const std::runtime_error&) {
            move_threw = true;
        }
        EXPECT(move_threw);
        brittle::armed = false;
        UNTIL(receivers_parked(c) == 1);
        c.send(brittle(4));
        UNTIL(got == 4);
        EXPECT(thrown == 1);
    });
}

TEST_CASE("a coroutine that is destroyed while it waits takes nothing and leaves no place") {
    in_run([](verdict& v) {
        const long alive = counted::alive;
        const auto c = make_chan<counted>();
        const auto receiver = [](auto ch) -> owned { co_await ch.recv(); };
        const auto sender = [](auto ch) -> owned { co_await ch.send(counted(1)); };
        for (int i = 0; i < 10; ++i) {
            const auto waits = receiver(via(c, at_once{}));
            EXPECT(receivers_parked(c) == 1);
            waits.handle.destroy();
            EXPECT(is_idle(c));
            const auto sends = sender(via(c, at_once{}));
            EXPECT(senders_parked(c) == 1);
            sends.handle.destroy();
            EXPECT(is_idle(c));
        }
        // Nil: waits for good.
        receiver(via(chan<counted>(), at_once{})).handle.destroy();
        // A value has come, and the coroutine is destroyed instead of resumed.
        const auto waits = receiver(via(c, [](resumption) {}));
        c.send(counted(2));
        waits.handle.destroy();
        EXPECT(counted::alive == alive);
    });
}

TEST_CASE("a coroutine that waits on a timer's channel is posted from a goroutine") {
    in_run([](verdict& v) {
        std::atomic<int> ended{0};
        std::atomic<bool> on_scheduler{false};
        const auto post = [&](resumption resume) {
            // Blocks, as only goroutines and threads can.
            pirn::sleep_for(1ms);
            if (pirn::goroutine_id() == 0) on_scheduler = true;
            resume();
        };
        for (int i = 0; i < 10; ++i) {
            [](auto ch, auto& done) -> detached {
                if (co_await ch.recv()) ++done;
            }(via(pirn::after(2ms), post), ended);
        }
        UNTIL(ended == 10);
        EXPECT(!on_scheduler);
    });
}

TEST_CASE("many coroutines and goroutines on one channel: nothing is lost") {
    in_run([](verdict& v) {
        with_executors([&](auto executor) {
            for (const std::size_t capacity : {0, 3}) {
                const int each = at_full_speed(2000);
                const auto c = make_chan<int>(capacity);
                std::atomic<long> sum{0};
                std::atomic<int> sent{0}, ended{0};
                crowd all;
                for (int k = 0; k < 4; ++k) {
                    sum_up(via(c, executor), sum, ended);
                    all.go([&] {
                        for (const int n : c) sum += n;
                        ++ended;
                    });
                }
                for (int k = 0; k < 4; ++k) {
                    all.go([&] {
                        for (int i = 0; i < each; ++i) c.send(i);
                        ++sent;
                    });
                    if (k % 2 == 0) send_all(via(c, executor), 0, each, sent);
                }
                UNTIL(sent == 6);
                c.close();
                all.join();
                UNTIL(ended == 8);
                EXPECT(sum == 6L * each * (each - 1) / 2);
            }
        });
    });
}
