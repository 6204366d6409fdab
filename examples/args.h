// SPDX-License-Identifier: MIT
// The command line that every example server understands: --help, --listen ADDR and --procs N.
#pragma once

#include <charconv>
#include <cstdio>
#include <cstring>
#include <expected>
#include <string>
#include <string_view>

namespace examples {

struct server_args {
    std::string listen;  // The address as the user wrote it, "127.0.0.1:8080" for example.
    int procs = 0;       // Ps to run on; 0 leaves the choice to the runtime.
};

// What differs between the servers' command lines.
struct server_usage {
    const char* program;         // The name in front of messages and in the usage text.
    const char* summary;         // One sentence: what the server does.
    const char* default_listen;  // The address when --listen is not given.
    bool has_procs = true;       // A server without a scheduler has no Ps to set.
};

inline constexpr int k_status_ok = 0;
inline constexpr int k_status_usage = 2;  // A bad flag, a bad address, a port in use.
inline constexpr int k_max_procs = 1024;

inline void print_usage(const server_usage& usage) {
    std::printf("usage: %s [--help] [--listen ADDR]%s\n\n%s\n\n", usage.program,
                usage.has_procs ? " [--procs N]" : "", usage.summary);
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
    std::printf("\nCtrl-C ends it with a line of totals.\n");
}

// Reads all of text as a number of Ps; false when it is none or out of range.
inline bool parse_procs(std::string_view text, int& procs) {
    const char* const last = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data(), last, procs);
    return error == std::errc{} && end == last && procs >= 0 && procs <= k_max_procs;
}

// Returns the arguments, or the status that the program ends with at once: 0 after --help, 2 after
// one line on stderr that names what is wrong. Flags take their value as "--flag value" or
// "--flag=value".
inline std::expected<server_args, int> parse_server_args(int argc, char** argv,
                                                         const server_usage& usage) {
    server_args args{.listen = usage.default_listen, .procs = 0};
    for (int i = 1; i < argc; ++i) {
        const std::string_view argument = argv[i];
        if (argument == "--help" || argument == "-h") {
            print_usage(usage);
            return std::unexpected(k_status_ok);
        }
        const std::size_t equals = argument.find('=');
        const std::string_view flag = argument.substr(0, equals);
        if (flag != "--listen" && !(usage.has_procs && flag == "--procs")) {
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
        if (flag == "--listen") {
            args.listen = value;
        } else if (!parse_procs(value, args.procs)) {
            std::fprintf(stderr, "%s: --procs wants a number from 0 to %d, not '%s'\n",
                         usage.program, k_max_procs, std::string(value).c_str());
            return std::unexpected(k_status_usage);
        }
    }
    return args;
}

}  // namespace examples
