// SPDX-License-Identifier: MIT
// A TCP server whose every connection is a goroutine: listen, accept, end on a signal.
#pragma once

#include <pirn/io.h>
#include <pirn/net.h>
#include <pirn/runtime.h>
#include <pirn/sleep.h>
#include <pirn/sync.h>

#include <array>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <mutex>
#include <set>
#include <utility>

#include "args.h"
#include "service.h"

namespace examples {

// The connections that are open, each with a goroutine, so that the end of the server can end them.
class open_connections {
  public:
    // Runs handle(connection) in a goroutine and closes the connection afterwards.
    template <class Handler>
    void serve(pirn::conn connection, const Handler& handle) {
        goroutines_.go([this, handle, connection = std::move(connection)]() mutable {
            if (enter(connection)) {
                handle(connection);
                leave(connection);
            }
        });
    }

    // Closes every connection, which wakes whoever is blocked in it, and blocks until their
    // goroutines have ended.
    void end_all() {
        {
            const std::lock_guard guard(lock_);
            ending_ = true;
            for (pirn::conn* connection : open_) {
                connection->close();
            }
        }
        goroutines_.wait();
    }

  private:
    // False: the server is ending.
    bool enter(pirn::conn& connection) {
        const std::lock_guard guard(lock_);
        if (!ending_) {
            open_.insert(&connection);
        }
        return !ending_;
    }

    void leave(pirn::conn& connection) {
        const std::lock_guard guard(lock_);
        open_.erase(&connection);
    }

    pirn::wait_group goroutines_;
    pirn::mutex lock_;  // Protects what follows.
    std::set<pirn::conn*> open_;
    bool ending_ = false;
};

// Accepts until the listener is closed (true) or broken (false), and gives each connection a
// goroutine that runs handle(pirn::conn&). Blocks.
template <class Handler>
bool accept_all(pirn::listener& listener, open_connections& connections, const char* program,
                const Handler& handle) {
    accept_errors errors(program);
    for (;;) {
        auto connection = listener.accept();
        if (connection) {
            connections.serve(std::move(*connection), handle);
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

// Runs a server for its whole life and returns the program's exit status. When the main goroutine
// returned, the others would be dropped where they stand, without destructors; so a signal closes
// the connections and waits for their goroutines first.
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
        open_connections connections;
        const bool closed = accept_all(*listener, connections, usage.program, handle);
        connections.end_all();
        totals.print(usage.program);
        return closed ? k_status_ok : 1;
    };
    return pirn::run(serve, {.procs = args.procs});
}

}  // namespace examples
