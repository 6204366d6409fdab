// SPDX-License-Identifier: MIT
// Dumps of goroutines, also while these are parked, woken and moved by others.
#include "test/support/fixture.h"

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include <fcntl.h>
#include <unistd.h>

#include <pirn/debug.h>
#include <pirn/runtime.h>
#include <pirn/sleep.h>

#include "runtime/m.h"
#include "runtime/self.h"
#include "test/support/mailbox.h"

using namespace pirn;
using namespace pirn::test;
using namespace std::chrono_literals;

namespace {

std::string dumped() {
    std::FILE* file = std::tmpfile();
    dump_goroutines(::fileno(file));
    std::rewind(file);
    std::string text;
    for (int c; (c = std::fgetc(file)) != EOF;) text += static_cast<char>(c);
    std::fclose(file);
    return text;
}

// The part of a dump that is about one goroutine.
std::string part_about(const std::string& dump, const std::string& name) {
    const std::size_t from = dump.find('"' + name + '"');
    if (from == std::string::npos) return "";
    const std::size_t to = dump.find("\n\n", from);
    return dump.substr(from, to == std::string::npos ? to : to - from);
}

[[gnu::noinline]] void waits_here(mailbox& box) {
    box.take();
    asm volatile("");  // not a tail call
}
[[gnu::noinline]] void yields_here(const std::atomic<bool>& done) {
    while (!done) yield();
    asm volatile("");
}

}  // namespace

TEST_CASE("a dump shows where parked and queued goroutines stand, and who made them") {
    std::string dump;
    run([&] {
        mailbox box;
        std::atomic<bool> done{false};
        go({.name = "parked"}, [&] { waits_here(box); });
        go({.name = "queued"}, [&] { yields_here(done); });
        yield();
        yield();
        dump = dumped();
        done = true;
        box.put();
        yield();
    }, {.procs = 1});
    INFO(dump);
    const std::string parked = part_about(dump, "parked");
    CHECK(parked.find("waits_here") != std::string::npos);
    CHECK(parked.find("created by") != std::string::npos);
    const std::string queued = part_about(dump, "queued");
    CHECK(queued.find("[runnable]") != std::string::npos);
    CHECK(queued.find("yields_here") != std::string::npos);
    CHECK(dump.find("goroutine 1 [running]") != std::string::npos);
}

TEST_CASE("a dump says how long a goroutine has waited, from a second on") {
    std::string early, late;
    run([&] {
        mailbox box;
        go({.name = "patient"}, [&] { waits_here(box); });
        sleep_for(20ms);
        early = dumped();
        sleep_for(1300ms);
        late = dumped();
        box.put();
        yield();
    }, {.procs = 2});
    INFO(early << late);
    CHECK(part_about(early, "patient").find(" seconds]") == std::string::npos);
    CHECK(part_about(late, "patient").find(" seconds]") != std::string::npos);
}

TEST_CASE("dumps while goroutines are parked and woken by others") {
    on_procs([](int procs) {
        std::atomic<bool> done{false};
        std::atomic<int> dumps{0};
        run([&] {
            constexpr int k_pairs = 8;
            mailbox there[k_pairs], back[k_pairs];
            std::atomic<int> left{2 * k_pairs + 1};
            for (int i = 0; i < k_pairs; ++i) {
                go([&, i] {
                    while (!done) {
                        there[i].take();
                        back[i].put();
                    }
                    --left;
                });
                go([&, i] {
                    while (!done) {
                        there[i].put();
                        back[i].take();
                    }
                    there[i].put();
                    --left;
                });
            }
            go([&] {
                while (!done) sleep_for(20us);
                --left;
            });
            const int null = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
            std::thread foreign([&] {
                for (int i = 0; i < 20; ++i) {
                    dump_goroutines(null);
                    ++dumps;
                }
            });
            for (int i = 0; i < 20; ++i) {
                dump_goroutines(null);
                ++dumps;
                yield();
            }
            foreign.join();
            ::close(null);
            done = true;
            while (left > 0) yield();
        }, {.procs = procs});
        CHECK(dumps == 40);
    });
}

#ifdef PIRN_SPLIT
namespace {

[[gnu::noinline]] int go_deep(int levels) {
    volatile char room[500 << 10];
    room[0] = 1;
    return levels == 0 ? room[0] : go_deep(levels - 1) + room[0];
}

}  // namespace

TEST_CASE("a goroutine that gets a new segment is growing meanwhile") {
    std::atomic<bool> seen{false};
    // Each run has to get its segments from the kernel.
    const auto end = std::chrono::steady_clock::now() + 20s;
    while (!seen && std::chrono::steady_clock::now() < end) {
        run([&] {
            std::atomic<const rt::g*> who{nullptr};
            std::atomic<bool> looks{false}, done{false};
            std::thread looker([&] {
                while (!done) {
                    const rt::g* gp = who;
                    if (gp == nullptr) continue;
                    looks = true;
                    if (gp->status.load(std::memory_order_relaxed) == rt::g_status::growing)
                        seen = true;
                }
            });
            go([&] {
                who = rt::self()->cur();
                while (!looks) yield();
                go_deep(100);
                who = nullptr;
                done = true;
            });
            while (!done) yield();
            looker.join();
        }, {.procs = 1});
    }
    CHECK(seen);
}
#endif
