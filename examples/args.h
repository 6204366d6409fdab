// SPDX-License-Identifier: MIT
// The command line that every example server understands: --help, --listen ADDR, and, where it
// makes sense, --procs N and --timeout MS.
#pragma once

#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <expected>
#include <string>
#include <string_view>

namespace examples {

struct server_args {
    std::string listen;  // The address as the user wrote it, "127.0.0.1:8080" for example.
    int procs = 0;       // Ps to run on; 0 leaves the choice to the runtime.
    std::chrono::milliseconds timeout{10'000};  // That a request may take.
};

// What differs between the servers' command lines.
struct server_usage {
    const char* program;         // The name in front of messages and in the usage text.
    const char* summary;         // One sentence: what the server does.
    const char* default_listen;  // The address when --listen is not given.
    bool has_procs = true;       // A server without a scheduler has no Ps to set.
    bool has_timeout = false;    // Where no request takes time, there is none.
};

inline constexpr int k_status_ok = 0;
inline constexpr int k_status_usage = 2;  // A bad flag, a bad address, a port in use.
inline constexpr int k_max_procs = 1024;
inline constexpr int k_max_timeout_ms = 3'600'000;

inline void print_usage(const server_usage& usage) {
    std::printf("usage: %s [--help] [--listen ADDR]%s%s\n\n%s\n\n", usage.program,
                usage.has_procs ? " [--procs N]" : "", usage.has_timeout ? " [--timeout MS]" : "",
                usage.summary);
    std::printf("  --help         print this and end\n");
    std::printf(
        "  --listen ADDR  listen on ADDR, for example 127.0.0.1:0 for any free port "
        "(default %s)\n",
        usage.default_listen);
    if (usage.has_procs) {
        std::printf(
            "  --procs N      run on N processors, 1 to %d "
            "(default 0: as many as there are)\n",
            k_max_procs);
    }
    if (usage.has_timeout) {
        std::printf(
            "  --timeout MS   milliseconds that a request may take before it gets 504, 1 to %d "
            "(default %d)\n",
            k_max_timeout_ms, static_cast<int>(server_args{}.timeout.count()));
    }
    std::printf("\nCtrl-C ends it with a line of totals.\n");
}

// Reads all of text as a number; false when it is none or out of range.
inline bool parse_number(std::string_view text, int min, int max, int& number) {
    const char* const last = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data(), last, number);
    return error == std::errc{} && end == last && number >= min && number <= max;
}

// Stores the value of a flag; false after one line on stderr when it is none of the flag's.
inline bool take_value(const server_usage& usage, std::string_view flag, std::string_view value,
                       server_args& args) {
    if (flag == "--listen") {
        args.listen = value;
        return true;
    }
    const bool is_procs = flag == "--procs";
    const int min = is_procs ? 0 : 1;
    const int max = is_procs ? k_max_procs : k_max_timeout_ms;
    int number = 0;
    if (!parse_number(value, min, max, number)) {
        std::fprintf(stderr, "%s: %s wants a number from %d to %d, not '%s'\n", usage.program,
                     std::string(flag).c_str(), min, max, std::string(value).c_str());
        return false;
    }
    if (is_procs) {
        args.procs = number;
    } else {
        args.timeout = std::chrono::milliseconds(number);
    }
    return true;
}

// Returns the arguments, or the status that the program ends with at once: 0 after --help, 2 after
// one line on stderr that names what is wrong. Flags take their value as "--flag value" or
// "--flag=value".
inline std::expected<server_args, int> parse_server_args(int argc, char** argv,
                                                         const server_usage& usage) {
    server_args args{.listen = usage.default_listen};
    for (int i = 1; i < argc; ++i) {
        const std::string_view argument = argv[i];
        if (argument == "--help" || argument == "-h") {
            print_usage(usage);
            return std::unexpected(k_status_ok);
        }
        const std::size_t equals = argument.find('=');
        const std::string_view flag = argument.substr(0, equals);
        if (flag != "--listen" && !(usage.has_procs && flag == "--procs") &&
            !(usage.has_timeout && flag == "--timeout")) {
            std::fprintf(stderr, "%s: unknown argument '%s' (try --help)\n", usage.program,
                         argv[i]);
            return std::unexpected(k_status_usage);
        }
        if (equals == std::string_view::npos && i + 1 == argc) {
            std::fprintf(stderr, "%s: %s wants a value (try --help)\n", usage.program, argv[i]);
            return std::unexpected(k_status_usage);
        }
        const std::string_view value =
            equals == std::string_view::npos ? argv[++i] : argument.substr(equals + 1);
        if (!take_value(usage, flag, value, args)) {
            return std::unexpected(k_status_usage);
        }
    }
    return args;
}

}  // namespace examples
