// SPDX-License-Identifier: MIT
// What can be seen of a running scheduler: PIRN_DEBUG=schedtrace, and the counters.
#include "test/support/fixture.h"
#include "test/support/mailbox.h"

#include <cstdio>
#include <cstdlib>
#include <regex>
#include <string>

#include <unistd.h>

#include <pirn/debug.h>
#include <pirn/runtime.h>

#include "runtime/base/clock.h"
#include "runtime/sched.h"
#include "runtime/self.h"

using namespace pirn;
using namespace pirn::test;

namespace {

// What f writes to standard error.
template <class F>
std::string said_by(F f) {
    std::FILE* file = std::tmpfile();
    const int before = ::dup(STDERR_FILENO);
    ::dup2(::fileno(file), STDERR_FILENO);
    f();
    ::dup2(before, STDERR_FILENO);
    ::close(before);
    std::rewind(file);
    std::string text;
    for (int c; (c = std::fgetc(file)) != EOF;) text += static_cast<char>(c);
    std::fclose(file);
    return text;
}

// PIRN_DEBUG for a scope.
struct debug_set_to {
    explicit debug_set_to(const char* value) { ::setenv("PIRN_DEBUG", value, 1); }
    ~debug_set_to() { ::unsetenv("PIRN_DEBUG"); }
};

std::int64_t trace(std::int64_t now_ns) { return rt::trace_sched(rt::self()->owner, now_ns); }

constexpr std::int64_t k_second = 1'000'000'000;

}  // namespace

TEST_CASE("schedtrace: off, nothing is printed and nothing is due") {
    on_procs([](int procs) {
        std::int64_t next = 0;
        const std::string said = said_by([&] {
            run([&] { next = std::min(trace(1), trace(100 * k_second)); }, {.procs = procs});
        });
        CHECK(said.empty());
        CHECK(next == base::k_never_ns);
    });
}

TEST_CASE("schedtrace: a line each time it is due, in Go's form") {
    const debug_set_to setting("schedtrace=1000");
    on_procs([](int procs) {
        std::int64_t due[4] = {};
        const std::string said = said_by([&] {
            run([&] {
                std::int64_t at[] = {5 * k_second, 6 * k_second - 1, 6 * k_second + 9'000'000,
                                     7 * k_second};
                for (int i = 0; i < 4; ++i) due[i] = trace(at[i]);
            }, {.procs = procs});
        });
        CHECK(due[0] == 6 * k_second);
        CHECK(due[1] == due[0]);
        CHECK(due[2] == 7 * k_second + 9'000'000);
        CHECK(due[3] == due[2]);
        std::string lengths = "\\d+";
        for (int i = 1; i < procs; ++i) lengths += " \\d+";
        const std::regex form("SCHED 1009ms: gomaxprocs=" + std::to_string(procs) +
                              " idleprocs=\\d+ threads=\\d+ spinningthreads=\\d+ needspinning=0 "
                              "idlethreads=\\d+ runqueue=0 \\[" + lengths + "\\]\n");
        INFO(said);
        CHECK(std::regex_match(said, form));
    });
}

TEST_CASE("schedtrace: with scheddetail each P, M and goroutine") {
    const debug_set_to setting("scheddetail=1,schedtrace=1");
    const std::string said = said_by([] {
        run([] {
            mailbox never;
            go([&] { never.take(); });
            yield();
            go([] {});
            go([] {});
            trace(k_second);
            trace(2 * k_second);
        }, {.procs = 1});
    });
    INFO(said);
    // One of the two that have not run yet is in the `next` slot, which Go does not count either.
    const std::regex form(
        "SCHED 1000ms: gomaxprocs=1 idleprocs=0 threads=1 spinningthreads=0 needspinning=0 "
        "idlethreads=0 runqueue=0\n"
        "  P0: status=1 schedtick=\\d+ m=0 runqsize=1 timerslen=0\n"
        "  M0: p=0 curg=1\n"
        "(  G1: status=2\\(\\) m=0 lockedm=nil\n|"
        "  G2: status=4\\(forever\\) m=nil lockedm=nil\n){2}");
    CHECK(std::regex_match(said, form));
}

TEST_CASE("runtime_stats counts parks, for each P and in all") {
    on_procs([](int procs) {
        constexpr std::uint64_t k_rounds = 50;
        stats before, after;
        run([&] {
            mailbox there, back;
            go([&] {
                for (std::uint64_t i = 0; i < k_rounds; ++i) {
                    there.take();
                    back.put();
                }
            });
            before = runtime_stats();
            for (std::uint64_t i = 0; i < k_rounds; ++i) {
                there.put();
                back.take();
            }
            after = runtime_stats();
        }, {.procs = procs});
        CHECK(after.per_proc.size() == static_cast<std::size_t>(procs));
        stats sum;
        for (const proc_stats& one : after.per_proc) {
            sum.switches += one.switches;
            sum.parks += one.parks;
            sum.steals += one.steals;
            sum.spawns += one.spawns;
        }
        CHECK(sum.parks == after.parks);
        CHECK(sum.switches == after.switches);
        CHECK(sum.steals == after.steals);
        CHECK(sum.spawns == after.spawns);
        if (procs == 1) {
            // Main parks in each round, the other one whenever it has come round.
            CHECK(after.parks - before.parks >= k_rounds);
            CHECK(after.parks - before.parks <= 2 * k_rounds);
        }
    });
}
