// SPDX-License-Identifier: MIT
// What every example server needs beside its protocol, with goroutines or with threads: the signals
// that end it, the totals it closes with, and the patience when accept fails.
#pragma once

#include <sys/signalfd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cinttypes>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <string_view>
#include <system_error>

namespace examples {

// Statistics only: nothing is ordered by them, so every access is relaxed. Connections add to them
// once per batch, not once per request, because the line is shared by all processors.
struct service_totals {
    std::atomic<std::uint64_t> connections{0};
    std::atomic<std::uint64_t> requests{0};
    std::atomic<std::uint64_t> bytes_in{0};
    std::atomic<std::uint64_t> bytes_out{0};

    void add(std::uint64_t new_requests, std::uint64_t in, std::uint64_t out) {
        requests.fetch_add(new_requests, std::memory_order_relaxed);
        bytes_in.fetch_add(in, std::memory_order_relaxed);
        bytes_out.fetch_add(out, std::memory_order_relaxed);
    }

    void print(const char* program) const {
        std::printf("%s: %" PRIu64 " connections, %" PRIu64 " requests, %" PRIu64
                    " bytes in, %" PRIu64 " bytes out\n",
                    program, connections.load(std::memory_order_relaxed),
                    requests.load(std::memory_order_relaxed),
                    bytes_in.load(std::memory_order_relaxed),
                    bytes_out.load(std::memory_order_relaxed));
        std::fflush(stdout);
    }
};

// Says on stdout that the server is ready. Flushed, because a script waits for this line on a pipe.
inline void print_listening(std::string_view address) {
    std::printf("listening on %.*s\n", static_cast<int>(address.size()), address.data());
    std::fflush(stdout);
}

// Says on stderr, in one line, why there is nothing to listen on.
inline void print_cannot_listen(const char* program, std::string_view address,
                                std::error_code error) {
    std::fprintf(stderr, "%s: cannot listen on '%.*s': %s\n", program,
                 static_cast<int>(address.size()), address.data(), error.message().c_str());
}

// Turns SIGINT and SIGTERM into a readable descriptor, which the caller owns, or -1 with errno set.
// A descriptor and not a handler, because a handler would run on whichever stack it interrupts.
// Call it before any other thread exists: a thread inherits the blocked signals from its creator,
// and one thread that does not block them would take the process down. SIGPIPE is ignored, so that
// printing the totals into a closed pipe is no reason to die.
inline int open_stop_signals() {
    std::signal(SIGPIPE, SIG_IGN);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    if (const int error = pthread_sigmask(SIG_BLOCK, &set, nullptr); error != 0) {
        errno = error;
        return -1;
    }
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

// What an accept loop does after an error.
enum class accept_advice {
    again,   // That connection is lost and no other: accept the next one.
    pause,   // A resource is used up: let some connections end, then accept again.
    closed,  // Somebody closed the listener: the server's regular end.
    broken,  // The listener cannot accept any more.
};

// How long an accept loop sleeps on accept_advice::pause: long against a spin, short for a user.
inline constexpr std::chrono::milliseconds k_accept_pause{20};

// Decides what an accept error means and complains about it, once per second at the most: at the
// descriptor limit every accept fails until a connection closes, and a line for each would bury
// everything else. Used by the one accept loop only.
class accept_errors {
  public:
    explicit accept_errors(const char* program) : program_(program) {}

    accept_advice judge(std::error_code error) {
        if (error == std::errc::connection_aborted || error == std::errc::interrupted ||
            error == std::errc::protocol_error || error == std::errc::network_down ||
            error == std::errc::network_unreachable || error == std::errc::host_unreachable) {
            return accept_advice::again;
        }
        if (error == std::errc::too_many_files_open ||
            error == std::errc::too_many_files_open_in_system ||
            error == std::errc::no_buffer_space || error == std::errc::not_enough_memory ||
            error == std::errc::resource_unavailable_try_again) {
            complain(error);
            return accept_advice::pause;
        }
        // Closed while accept was blocked, or before it was called.
        if (error == std::errc::operation_canceled || error == std::errc::bad_file_descriptor) {
            return accept_advice::closed;
        }
        std::fprintf(stderr, "%s: accept: %s\n", program_, error.message().c_str());
        return accept_advice::broken;
    }

  private:
    void complain(std::error_code error) {
        const auto now = std::chrono::steady_clock::now();
        if (complained_ && now - last_complaint_ < std::chrono::seconds(1)) {
            return;
        }
        complained_ = true;
        last_complaint_ = now;
        std::fprintf(stderr, "%s: accept: %s; new connections wait until others close\n", program_,
                     error.message().c_str());
    }

    const char* program_;
    bool complained_ = false;
    std::chrono::steady_clock::time_point last_complaint_;
};

}  // namespace examples
