// SPDX-License-Identifier: MIT
// Runtimes beside a host's own main loop: start and stop, and a P that the host's thread drives.
#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <set>
#include <string>
#include <thread>

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <pirn/debug.h>
#include <pirn/io.h>
#include <pirn/runtime.h>
#include <pirn/sleep.h>

#include "test/support/fixture.h"

using namespace std::chrono_literals;
using pirn::test::on_procs;
using clock_type = std::chrono::steady_clock;

namespace {

// A runtime that ends with the scope.
struct started {
    explicit started(int procs) { pirn::start({.procs = procs}); }
    ~started() { pirn::stop(); }
};

template <class C>
bool soon(C condition) {
    const auto end = clock_type::now() + 20s;
    while (!condition()) {
        if (clock_type::now() > end) return false;
        std::this_thread::sleep_for(100us);
    }
    return true;
}

template <class C>
bool poll_until(C condition) {
    const auto end = clock_type::now() + 20s;
    while (!condition()) {
        if (clock_type::now() > end) return false;
        pirn::poll_once(10ms);
    }
    return true;
}

bool readable(int fd, int ms) {
    pollfd p{fd, POLLIN, 0};
    return ::poll(&p, 1, ms) == 1;
}

template <class F>
std::string panic_of(F f) {
    try {
        f();
    } catch (const pirn::panic& p) {
        return p.what();
    }
    return "";
}

}  // namespace

TEST_CASE("start runs goroutines beside the host, stop drops what is parked", "[host]") {
    on_procs([](int procs) {
        for (int round = 0; round < 5; ++round) {
            std::atomic<int> ended{0};
            {
                const started runtime(procs);
                REQUIRE(pirn::num_goroutine() == 0);
                for (int i = 0; i < 100; ++i) {
                    pirn::go([&] {
                        pirn::sleep_for(100us);
                        pirn::yield();
                        ++ended;
                    });
                }
                for (int i = 0; i < 10; ++i) pirn::go([] { pirn::sleep_for(1h); });
                REQUIRE(soon([&] { return ended == 100; }));
                REQUIRE(soon([] { return pirn::num_goroutine() == 10; }));
            }
            REQUIRE(pirn::num_goroutine() == 0);
        }
    });
}

TEST_CASE("start and stop out of place throw panic", "[host]") {
    REQUIRE(panic_of([] { pirn::stop(); }) == "stop: no runtime was started");
    REQUIRE(panic_of([] { pirn::poll_fd(); }) == "poll_fd outside any runtime");
    REQUIRE(panic_of([] { pirn::poll_once(0ms); }) == "poll_once outside any runtime");
    std::string inside, from_goroutine, polled;
    {
        const started runtime(1);
        REQUIRE(panic_of([] { pirn::start(); }) == "start: a runtime is running already");
        REQUIRE(panic_of([] { pirn::run([] {}); }) == "run: a runtime is running already");
        std::atomic<bool> done{false};
        pirn::go([&] {
            inside = panic_of([] { pirn::start(); });
            from_goroutine = panic_of([] { pirn::stop(); });
            polled = panic_of([] { pirn::poll_once(0ms); });
            done = true;
        });
        REQUIRE(soon([&] { return done.load(); }));
    }
    REQUIRE(inside == "start: called from inside a runtime");
    REQUIRE(from_goroutine == "stop: called by a goroutine");
    REQUIRE(polled == "poll_once: called by a goroutine");
    std::string in_run;
    pirn::run([&] { in_run = panic_of([] { pirn::start(); }); });
    REQUIRE(in_run == "start: called from inside a runtime");
    REQUIRE(panic_of([] { pirn::stop(); }) == "stop: no runtime was started");
}

TEST_CASE("K08 no deadlock is reported where a host may still call in", "[host]") {
    const started runtime(2);
    std::atomic<bool> parked{false};
    pirn::go([&] {
        parked = true;
        pirn::sleep_until(pirn::clock::time_point::max());
    });
    REQUIRE(soon([&] { return parked.load(); }));
    std::this_thread::sleep_for(50ms);
    REQUIRE(pirn::num_goroutine() == 1);
}

TEST_CASE("with one P poll_once runs goroutines on the host's thread", "[host]") {
    const started runtime(1);
    const int fd = pirn::poll_fd();
    REQUIRE(pirn::poll_fd() == fd);
    REQUIRE_FALSE(readable(fd, 20));
    int tid = 0;
    pirn::go([&] { tid = ::gettid(); });
    REQUIRE(readable(fd, 10'000));
    REQUIRE(tid == 0);
    REQUIRE(pirn::poll_once(0ms));
    REQUIRE(tid == ::gettid());
    REQUIRE_FALSE(pirn::poll_once(0ms));
    REQUIRE_FALSE(readable(fd, 0));
}

TEST_CASE("poll_once waits as long as it is told", "[host]") {
    const started runtime(2);
    const auto before = clock_type::now();
    REQUIRE_FALSE(pirn::poll_once(30ms));
    REQUIRE(clock_type::now() - before >= 30ms);
    bool ran = false;
    pirn::go([&] { ran = true; });
    REQUIRE(poll_until([&] { return ran; }));
}

TEST_CASE("a host's epoll loop drives sleepers and readers", "[host]") {
    on_procs([](int procs) {
        const started runtime(procs);
        const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
        epoll_event e{};
        e.events = EPOLLIN;
        REQUIRE(::epoll_ctl(epoll, EPOLL_CTL_ADD, pirn::poll_fd(), &e) == 0);
        int ends[2];
        REQUIRE(::pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0);
        std::atomic<int> slept{0}, got{0};
        std::atomic<bool> failed{false};
        for (int i = 0; i < 20; ++i) {
            pirn::go([&] {
                for (int k = 0; k < 5; ++k) pirn::sleep_for(500us);
                ++slept;
            });
        }
        pirn::go([&] {
            auto in = pirn::io::fd::adopt(ends[0]);
            std::byte b[1];
            while (got < 20) {
                auto n = in->read(b);
                if (!n || *n != 1) failed = true;
                if (failed) break;
                ++got;
            }
            in->close();
        });
        std::thread writer([&] {
            for (int i = 0; i < 20; ++i) {
                std::this_thread::sleep_for(200us);
                if (::write(ends[1], "x", 1) != 1) failed = true;
            }
        });
        int turns = 0;
        const auto end = clock_type::now() + 20s;
        while ((slept < 20 || got < 20) && !failed && clock_type::now() < end) {
            epoll_event seen{};
            if (::epoll_wait(epoll, &seen, 1, 20) == 1) {
                pirn::poll_once(0ms);
                ++turns;
            }
        }
        writer.join();
        REQUIRE(soon([] { return pirn::num_goroutine() == 0 || pirn::poll_once(0ms); }));
        ::close(epoll);
        ::close(ends[1]);
        REQUIRE_FALSE(failed);
        REQUIRE(slept == 20);
        REQUIRE(got == 20);
        REQUIRE((procs > 1 || turns > 0));
    });
}

TEST_CASE("poll_once returns to the host though goroutines go on", "[host]") {
    const started runtime(1);
    const int fd = pirn::poll_fd();
    std::atomic<bool> stop{false};
    long turns = 0;
    for (int i = 0; i < 2; ++i) {
        pirn::go([&] {
            while (!stop) {
                ++turns;
                pirn::yield();
            }
        });
    }
    for (int i = 0; i < 20; ++i) {
        REQUIRE(pirn::poll_once(0ms));
        REQUIRE(readable(fd, 0));
    }
    REQUIRE(turns > 0);
    stop = true;
    REQUIRE(poll_until([] { return pirn::num_goroutine() == 0; }));
}

TEST_CASE("a blocking call on the host's thread lets others have its P", "[host]") {
    const started runtime(1);
    pirn::poll_fd();
    std::atomic<int> others{0};
    int meanwhile = 0;
    pirn::go([&] {
        pirn::blocking([&] {
            const auto end = clock_type::now() + 10s;
            while (others < 1000 && clock_type::now() < end) ::usleep(1000);
            meanwhile = others;
        });
    });
    pirn::go([&] {
        while (others < 1000) {
            ++others;
            pirn::yield();
        }
    });
    REQUIRE(poll_until([] { return pirn::num_goroutine() == 0; }));
    REQUIRE(meanwhile == 1000);
    int tid = 0;
    pirn::go([&] { tid = ::gettid(); });
    REQUIRE(poll_until([&] { return tid != 0; }));
    REQUIRE(tid == ::gettid());  // the P came back to the host
}

TEST_CASE("the host's thread and the runtime's share the work", "[host]") {
    on_procs([](int procs) {
        const started runtime(procs);
        constexpr int k_goroutines = 2000;
        std::atomic<int> ended{0};
        for (int i = 0; i < k_goroutines; ++i) {
            pirn::go([&, i] {
                for (int k = 0; k < 20; ++k) {
                    if ((i + k) % 7 == 0) pirn::sleep_for(50us);
                    pirn::yield();
                }
                ++ended;
            });
            if (i % 50 == 0) pirn::poll_once(0ms);
            if (i % 500 == 0) pirn::maxprocs(1 + (i / 500) % 3);
        }
        REQUIRE(poll_until([&] { return ended == k_goroutines; }));
    });
}

TEST_CASE("stop calls a thread that waits in poll_once", "[host]") {
    for (int round = 0; round < 20; ++round) {
        pirn::start({.procs = 1 + round % 3});
        std::atomic<bool> inside{false};
        bool result = true;
        std::thread host([&] {
            pirn::poll_fd();
            inside = true;
            try {
                result = pirn::poll_once(1h);
            } catch (const pirn::panic&) {
                result = false;  // stop was first: there is no runtime to poll
            }
        });
        while (!inside) std::this_thread::yield();
        if (round % 2 == 0) std::this_thread::sleep_for(1ms);
        pirn::stop();
        host.join();
        REQUIRE_FALSE(result);
    }
}

TEST_CASE("a goroutine may lock the host's thread", "[host]") {
    const started runtime(2);
    std::set<int> tids;
    std::atomic<bool> done{false};
    pirn::go([&] {
        pirn::lock_os_thread();
        for (int i = 0; i < 50; ++i) {
            tids.insert(::gettid());
            pirn::sleep_for(100us);
        }
        done = true;
    });
    REQUIRE(poll_until([&] { return done.load(); }));
    REQUIRE(tids.size() == 1);
    REQUIRE(poll_until([] { return pirn::num_goroutine() == 0; }));
}
