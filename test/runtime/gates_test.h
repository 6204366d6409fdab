// SPDX-License-Identifier: MIT
// What the tests of gates share: a call that blocks while others must run, descriptors to block on,
// and what the run time counts.
#pragma once

#include "test/support/fixture.h"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pirn/runtime.h>

#include "runtime/m.h"
#include "runtime/p.h"
#include "runtime/self.h"

#ifdef PIRN_SPLIT

namespace pirn::test {

using namespace std::chrono_literals;

inline constexpr auto k_patience = 2s;
inline constexpr auto k_a_while = 300ms;

// A call that blocks until it is released, and whether it returned what it should.
struct blocking_call {
    const char* name;
    std::function<bool()> block;
    std::function<void()> release;
};

// One P: a goroutine blocks, and the main one makes it return, if it gets to run. If it does not, a
// thread makes it return, so that a gate that is missing fails and does not hang.
struct outcome {
    bool alive;  // the main goroutine has run meanwhile
    bool right;  // the call returned what it should
};
inline outcome attempt(const blocking_call& call) {
    std::atomic<bool> entered{false}, released{false}, right{false}, done{false}, alive{false};
    std::thread watch([&] {
        const auto until = std::chrono::steady_clock::now() + k_patience;
        while (!released && std::chrono::steady_clock::now() < until)
            std::this_thread::sleep_for(1ms);
        if (!released.exchange(true)) call.release();
    });
    run([&] {
        go([&] {
            entered = true;
            right = call.block();
            done = true;
        });
        wait_until([&] { return entered.load(); });
        alive = !done && !released.exchange(true);
        if (alive) call.release();
        released = true;
        wait_until([&] { return done.load(); });
    }, {.procs = 1});
    watch.join();
    return {alive, right};
}

inline void try_call(const blocking_call& call) {
    const outcome o = attempt(call);
    CAPTURE(call.name);
    CHECK(o.alive);
    CHECK(o.right);
}

inline void try_all(const std::vector<blocking_call>& calls) {
    for (const blocking_call& call : calls) try_call(call);
}

// Two connected descriptors, and what a call on the first waits for from the second.
struct pair {
    int in = -1, out = -1;
    explicit pair(bool sockets = false, int type = SOCK_STREAM) {
        int both[2];
        const int r = sockets ? ::socketpair(AF_UNIX, type, 0, both) : ::pipe(both);
        REQUIRE(r == 0);
        in = both[0];
        out = both[1];
    }
    ~pair() {
        if (in >= 0) ::close(in);
        if (out >= 0) ::close(out);
    }
    pair(const pair&) = delete;
    void put() const { static_cast<void>(::send(out, "x\n", 2, 0) < 0 && ::write(out, "x\n", 2)); }
    // So much that the next byte does not fit; and room again.
    void fill() const {
        const int flags = ::fcntl(out, F_GETFL);
        ::fcntl(out, F_SETFL, flags | O_NONBLOCK);
        char junk[4096] = {};
        while (::write(out, junk, sizeof junk) > 0) {}
        while (::write(out, junk, 1) > 0) {}
        ::fcntl(out, F_SETFL, flags);
    }
    void drain() const {
        const int flags = ::fcntl(in, F_GETFL);
        ::fcntl(in, F_SETFL, flags | O_NONBLOCK);
        char junk[4096];
        while (::read(in, junk, sizeof junk) > 0) {}
        ::fcntl(in, F_SETFL, flags);
    }
};

using reader = std::function<bool(int)>;

// Each on a descriptor that is silent until the release.
inline void try_readers(bool sockets, const std::vector<std::pair<const char*, reader>>& readers) {
    for (const auto& [name, read] : readers) {
        pair p(sockets);
        try_call({name, [&] { return read(p.in); }, [&] { p.put(); }});
    }
}

// Each on a descriptor that is full until the release.
inline void try_writers(bool sockets, const std::vector<std::pair<const char*, reader>>& writers) {
    for (const auto& [name, write] : writers) {
        pair p(sockets);
        p.fill();
        try_call({name, [&] { return write(p.out); }, [&] { p.drain(); }});
    }
}

inline timespec after(std::chrono::nanoseconds time, clockid_t clock = CLOCK_REALTIME) {
    timespec now;
    ::clock_gettime(clock, &now);
    const auto total =
        std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec) + time;
    return {static_cast<time_t>(total / 1s), static_cast<long>((total % 1s).count())};
}
inline timespec for_a_while() { return {0, std::chrono::nanoseconds(k_a_while).count()}; }

inline void nothing() {}

inline char byte_buffer[64];

// What the running goroutine holds, and how many of these bind it to its thread.
inline std::pair<unsigned, unsigned> held() {
    const rt::g* gp = rt::self()->cur();
    return {gp->os_locks, gp->os_bindings};
}

// A call that returns at once, of which only the run time's count tells whether it was made as one
// that may block.
struct prompt_call {
    const char* name;
    std::function<bool()> make;
    bool may_block = true;
};

inline void try_prompt_calls(const std::vector<prompt_call>& calls) {
    for (const prompt_call& call : calls) {
        bool right = false;
        std::uint64_t counted = 0;
        run([&] {
            std::atomic<bool> done{false};
            go([&] {
                const rt::p* pp = rt::self()->cpu;  // the only one there is
                const std::uint64_t before = pp->calls.get();
                right = call.make();
                counted = pp->calls.get() - before;
                done = true;
            });
            wait_until([&] { return done.load(); });
        }, {.procs = 1});
        CAPTURE(call.name);
        CHECK(right);
        CHECK(counted == (call.may_block ? 1u : 0u));
    }
}

}  // namespace pirn::test

#endif
