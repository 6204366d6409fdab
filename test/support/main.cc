// SPDX-License-Identifier: MIT
// Catch2's main for every test program, with a listener that tells the driver about each case.
//
// Where PIRN_TEST_CASES names a file, a line is added to it at the start and at the end of each
// case (the form is in cases.py), so that a program that hangs or dies still leaves the name of
// the case it was in, and the driver counts cases instead of programs. The report for people on
// standard output stays as it is.
//
// Catch2's own signal handlers are left out: the library installs an alternate signal stack and
// handlers of its own, and the two would undo each other.
#define CATCH_CONFIG_NO_POSIX_SIGNALS
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

class case_listener : public Catch::TestEventListenerBase {
  public:
    using TestEventListenerBase::TestEventListenerBase;

    void testCaseStarting(const Catch::TestCaseInfo& info) override {
        TestEventListenerBase::testCaseStarting(info);
        timer_.start();
        tell("start " + info.name);
    }

    void testCaseEnded(const Catch::TestCaseStats& stats) override {
        char seconds[32];
        std::snprintf(seconds, sizeof seconds, " %.3f ", timer_.getElapsedSeconds());
        tell((stats.totals.testCases.allOk() ? "ok" : "fail") + std::string(seconds) +
             stats.testInfo.name);
        TestEventListenerBase::testCaseEnded(stats);
    }

  private:
    // Opened for each line, so that a child that a case forks shares no buffer with its parent.
    static void tell(const std::string& line) {
        const char* path = std::getenv("PIRN_TEST_CASES");
        if (path == nullptr || *path == '\0') return;
        std::FILE* file = std::fopen(path, "ae");
        if (file == nullptr) return;
        std::fprintf(file, "%s\n", line.c_str());
        std::fclose(file);
    }

    Catch::Timer timer_;
};

CATCH_REGISTER_LISTENER(case_listener)

}  // namespace

int main(int argc, char** argv) { return Catch::Session().run(argc, argv); }
