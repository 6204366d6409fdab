// SPDX-License-Identifier: MIT
// A TCP server whose every connection is a goroutine: listen, accept, end on a signal.
#pragma once

#include <pirn/io.h>
#include <pirn/net.h>
#include <pirn/runtime.h>
#include <pirn/sleep.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <span>
#include <utility>

#include "args.h"
#include "service.h"

namespace examples {

// Accepts until the listener is closed (true) or broken (false), and gives each connection a
// goroutine that runs handle(pirn::conn&). Blocks.
template <class Handler>
bool accept_all(pirn::listener& listener, const char* program, const Handler& handle) {
    accept_errors errors(program);
    for (;;) {
        auto connection = listener.accept();
        if (connection) {
            pirn::go(
                [handle, connection = std::move(*connection)]() mutable { handle(connection); });
            continue;
        }
        switch (errors.judge(connection.error())) {
            case accept_advice::again:
                break;
            case accept_advice::pause:
                pirn::sleep_for(k_accept_pause);
                break;
            case accept_advice::closed:
                return true;
            case accept_advice::broken:
                return false;
        }
    }
}

// Runs a server for its whole life and returns the program's exit status. Connections that are open
// when a signal ends the server are dropped where they stand.
template <class Handler>
int run_goroutine_server(const server_usage& usage, const server_args& args,
                         const service_totals& totals, const Handler& handle) {
    // The signals are blocked here, before the runtime makes threads that inherit it.
    const int signals = open_stop_signals();
    if (signals < 0) {
        std::perror(usage.program);
        return 1;
    }
    const auto serve = [&]() -> int {
        auto stop = pirn::io::fd::adopt(signals);
        if (!stop) {
            std::fprintf(stderr, "%s: cannot wait for signals: %s\n", usage.program,
                         stop.error().message().c_str());
            return 1;
        }
        auto opened = pirn::listen(args.listen);
        if (!opened) {
            print_cannot_listen(usage.program, args.listen, opened.error());
            return k_status_usage;
        }
        // Shared, because the goroutine that waits for the signal may outlive the accept loop.
        const auto listener = std::make_shared<pirn::listener>(std::move(*opened));
        pirn::go([listener, stop = std::move(*stop)]() mutable {
            std::array<std::byte, sizeof(signalfd_siginfo)> signal;
            (void)stop.read(signal);
            listener->close();
        });
        print_listening(listener->address());
        const bool closed = accept_all(*listener, usage.program, handle);
        totals.print(usage.program);
        return closed ? k_status_ok : 1;
    };
    return pirn::run(serve, {.procs = args.procs});
}

}  // namespace examples
