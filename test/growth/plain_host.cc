// SPDX-License-Identifier: MIT
// The subjects as a program without a framework, quick to compile: `growth [-q] [-xWORD] [WORD...]`
// runs those whose name contains a word, -q those that are quick everywhere, -x leaves some out.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <pirn/debug.h>

#include "test/growth/subject.h"

namespace growth {

void enroll(subject&) {}

namespace {

bool wanted(const subject& s, int words, char** word) {
    bool any = false;
    for (int i = 0; i < words; ++i) {
        if (std::strcmp(word[i], "-q") == 0) {
            if (s.slow) return false;
            continue;
        }
        if (std::strncmp(word[i], "-x", 2) == 0) {
            if (std::strstr(s.name, word[i] + 2) != nullptr) return false;
            continue;
        }
        if (std::strstr(s.name, word[i]) != nullptr) return true;
        any = true;
    }
    return !any;
}

// How many checks failed, and the stack that was not given back.
int run_and_report(const subject& s, int procs) {
    verdict v;
    // Said first, so that a program that dies has named the subject.
    std::printf("%s, %d P%s: ", s.name, procs, procs == 1 ? "" : "s");
    std::fflush(stdout);
    run_subject(s, procs, v);
    const std::size_t stacks = pirn::runtime_stats().stacks;
    if (v.failures() == 0 && stacks == 0) {
        std::printf("ok, %llu hops\n", static_cast<unsigned long long>(v.hops));
        return 0;
    }
    std::printf("FAILED: %s:%d: %s; %d checks, %zu stacks left\n", s.file, v.line(), v.what(),
                v.failures(), stacks);
    return v.failures() + static_cast<int>(stacks);
}

int run_all(int words, char** word) {
    const char* procs = std::getenv("PIRN_TEST_PROCS");
    if (procs == nullptr || *procs == '\0') procs = "1,4";
    int wrong = 0, ran = 0;
    for (const subject* s = first_subject(); s != nullptr; s = s->next) {
        if (!wanted(*s, words, word)) continue;
        for (const char* at = procs; at != nullptr; at = std::strchr(at, ',')) {
            if (*at == ',') ++at;
            wrong += run_and_report(*s, std::atoi(at)) != 0;
            ++ran;
        }
    }
    std::printf("%d passed, %d failed\n", ran - wrong, wrong);
    return wrong != 0 || ran == 0;
}

}  // namespace
}  // namespace growth

int main(int argc, char** argv) { return growth::run_all(argc - 1, argv + 1); }
