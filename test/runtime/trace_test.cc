// SPDX-License-Identifier: MIT
// What can be seen of a running scheduler: PIRN_DEBUG=schedtrace, and the counters.
#include "test/support/fixture.h"
#include "test/support/mailbox.h"

#include <cstdio>
#include <cstdlib>
#include <regex>
#include <sstream>
#include <string>

#include <unistd.h>

#include <pirn/debug.h>
#include <pirn/runtime.h>
#include <pirn/sleep.h>

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

}  // namespace

TEST_CASE("schedtrace: off, nothing is printed") {
    on_procs([](int procs) {
        const std::string said = said_by([&] {
            run([&] { sleep_for(std::chrono::milliseconds(30)); }, {.procs = procs});
        });
        CHECK(said.empty());
    });
}

TEST_CASE("schedtrace: a line each time it is due, in Go's form") {
    const debug_set_to setting("schedtrace=20");
    on_procs([](int procs) {
        const auto began = clock::now();
        const std::string said = said_by([&] {
            run([&] { sleep_for(std::chrono::milliseconds(150)); }, {.procs = procs});
        });
        const auto took_ms =
            std::chrono::duration_cast<std::chrono::milliseconds>(clock::now() - began).count();
        std::string lengths = "\\d+";
        for (int i = 1; i < procs; ++i) lengths += " \\d+";
        const std::regex form("SCHED (\\d+)ms: gomaxprocs=" + std::to_string(procs) +
                              " idleprocs=\\d+ threads=\\d+ spinningthreads=\\d+ needspinning=0 "
                              "idlethreads=\\d+ runqueue=\\d+ \\[" + lengths + "\\]");
        INFO(said);
        int lines = 0, wrong = 0;
        long before = 0;
        std::istringstream text(said);
        for (std::string line; std::getline(text, line); ++lines) {
            std::smatch match;
            if (!std::regex_match(line, match, form)) {
                ++wrong;
                continue;
            }
            const long at = std::stol(match[1]);
            if (at < before + 20) ++wrong;
            before = at;
        }
        CHECK(wrong == 0);
        // Some are left out where the machine is busy with other things.
        CHECK(lines >= 1);
        CHECK(lines <= took_ms / 20);
    });
}

TEST_CASE("schedtrace: with scheddetail each P, M and goroutine") {
    const debug_set_to setting("scheddetail=1,schedtrace=20");
    const std::string said = said_by([] {
        run([] {
            mailbox never;
            go([&] { never.take(); });
            go([&] {
                lock_os_thread();
                sleep_for(std::chrono::hours(1));
            });
            sleep_for(std::chrono::milliseconds(200));
        }, {.procs = 1});
    });
    INFO(said);
    for (const char* form :
         {"  P0: status=\\d+ schedtick=\\d+ m=(\\d+|nil) runqsize=0 timerslen=\\d+\n",
          "  M1: p=(\\d+|nil) curg=(\\d+|nil) lockedg=nil\n",
          "  M0: p=nil curg=nil lockedg=2\n",
          "  G2: status=4\\(sleep\\) m=nil lockedm=0\n",
          "  G3: status=4\\(forever\\) m=nil lockedm=nil\n",
          "  G1: status=4\\(sleep\\) m=nil lockedm=nil\n"}) {
        INFO(form);
        CHECK(std::regex_search(said, std::regex(form)));
    }
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
