// SPDX-License-Identifier: MIT
// The harness that every C++ contender shares: arguments, clock, memory figures and the result
// line.
//
// A contender is a program that runs one workload once and prints exactly one line of JSON on
// stdout. It is small on purpose: repetition, interleaving, pinning and statistics belong to
// run.py, so that all contenders, whatever their language, get the same treatment.
// harness.go is the same for Go; what changes here changes there.
#pragma once

#include <time.h>
#include <unistd.h>
#include <charconv>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <string>
#include <string_view>

namespace bench {

// Every contender knows these options; what a number counts is said in bench/README.md.
struct arguments {
    std::uint64_t procs = 1;   // --procs: Ps of a runtime, or CPUs the threads may use.
    std::uint64_t ops = 0;     // --ops: operations in the timed part.
    std::uint64_t count = 0;   // --count: how many take part: goroutines, connections, leaves.
    std::uint64_t divide = 1;  // --divide: makes the workload this many times smaller.
};

// An option that only one program has.
struct option {
    std::string_view name;
    std::uint64_t* value;
};

[[noreturn]] inline void fail(const char* what, std::string_view detail = {}, int status = 1) {
    std::fprintf(stderr, "%s%s%.*s\n", what, detail.empty() ? "" : ": ",
                 static_cast<int>(detail.size()), detail.data());
    std::exit(status);
}

// Ends the program with the name of the call that failed and the system's reason.
[[noreturn]] inline void fail_errno(const char* call, int error) {
    fail(call, std::strerror(error));
}

// Reads `--name N` pairs over the defaults. A bad flag is one line on stderr and status 2.
// What --divide makes smaller is ops or, in a workload that has none, count.
inline arguments parse(int argc, char** argv, arguments defaults,
                       std::initializer_list<option> extra = {}) {
    arguments args = defaults;
    for (int i = 1; i < argc; i += 2) {
        const std::string_view name = argv[i];
        std::uint64_t* target = nullptr;
        if (name == "--procs") target = &args.procs;
        if (name == "--ops") target = &args.ops;
        if (name == "--count") target = &args.count;
        if (name == "--divide") target = &args.divide;
        for (const option& o : extra) {
            if (name == o.name) target = o.value;
        }
        if (target == nullptr) fail("unknown option", name, 2);
        if (i + 1 == argc) fail("option without a number", name, 2);
        const std::string_view text = argv[i + 1];
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *target);
        if (error != std::errc{} || end != text.data() + text.size() || *target == 0) {
            fail("not a positive number", text, 2);
        }
    }
    std::uint64_t& size = args.ops != 0 ? args.ops : args.count;
    if (size != 0 && (size /= args.divide) == 0) size = 1;
    return args;
}

// Nanoseconds on the monotonic clock.
inline std::uint64_t now_ns() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000 +
           static_cast<std::uint64_t>(t.tv_nsec);
}

inline double seconds_between(std::uint64_t from_ns, std::uint64_t to_ns) {
    return static_cast<double>(to_ns - from_ns) * 1e-9;
}

// Calls body(n) with a tenth of the operations, untimed, to fill caches, pools and branch
// predictors; then body(ops), timed. Returns nanoseconds for one operation.
template <class Body>
double ns_per_op(std::uint64_t ops, Body&& body) {
    body(ops < 10 ? 1 : ops / 10);
    const std::uint64_t start = now_ns();
    body(ops);
    return static_cast<double>(now_ns() - start) / static_cast<double>(ops);
}

// The process's resident set now (field 2 of /proc/self/statm).
inline std::uint64_t resident_bytes() {
    std::FILE* file = std::fopen("/proc/self/statm", "r");
    std::uint64_t pages = 0;
    if (file == nullptr || std::fscanf(file, "%*u %" SCNu64, &pages) != 1) {
        fail("cannot read /proc/self/statm");
    }
    std::fclose(file);
    return pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

// The largest resident set the process has had (VmHWM of /proc/self/status).
inline std::uint64_t peak_resident_bytes() {
    std::FILE* file = std::fopen("/proc/self/status", "r");
    if (file == nullptr) fail("cannot read /proc/self/status");
    char line[256];
    std::uint64_t kilobytes = 0;
    while (std::fgets(line, sizeof line, file) != nullptr) {
        if (std::sscanf(line, "VmHWM: %" SCNu64, &kilobytes) == 1) break;
    }
    std::fclose(file);
    if (kilobytes == 0) fail("no VmHWM in /proc/self/status");
    return kilobytes * 1024;
}

// Read by run.py: figures of a build that is not optimized are not worth a comparison.
#ifdef __OPTIMIZE__
#define BENCH_OPTIMIZED ""
#else
#define BENCH_OPTIMIZED " (not optimized)"
#endif
#ifdef __clang__
#define BENCH_COMPILER __VERSION__ BENCH_OPTIMIZED
#else
#define BENCH_COMPILER "GCC " __VERSION__ BENCH_OPTIMIZED
#endif

// The result line: the figure that the workload is about, then any number of named others.
class report {
  public:
    report(const char* workload, const char* contender, const arguments& args, double value,
           const char* unit) {
        char head[256];
        std::snprintf(head, sizeof head,
                      "{\"workload\":\"%s\",\"contender\":\"%s\",\"procs\":%" PRIu64
                      ",\"value\":%.10g,\"unit\":\"%s\",\"compiler\":\"%s\"",
                      workload, contender, args.procs, value, unit, BENCH_COMPILER);
        line_ = head;
    }

    report& figure(const char* name, double value) {
        char text[128];
        std::snprintf(text, sizeof text, ",\"%s\":%.10g", name, value);
        line_ += text;
        return *this;
    }

    report& figure(const char* name, std::uint64_t value) {
        return figure(name, static_cast<double>(value));
    }

    void print() const { std::printf("%s}\n", line_.c_str()); }

  private:
    std::string line_;
};

}  // namespace bench
