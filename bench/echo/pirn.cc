// SPDX-License-Identifier: MIT
// echo, pirn: a goroutine for each connection.
#include <pirn/net.h>
#include <pirn/runtime.h>

#include <array>

#include "server.h"

namespace {

void echo(pirn::conn connection) {
    std::array<std::byte, bench::k_buffer_size_bytes> buffer;
    for (;;) {
        const auto n = connection.read(buffer);
        if (!n || *n == 0) return;
        if (!connection.write(std::span(buffer).first(*n))) return;
    }
}

// The number after the address's last colon.
unsigned port_of(const std::string& address) {
    unsigned port = 0;
    const char* digits = address.data() + address.rfind(':') + 1;
    std::from_chars(digits, address.data() + address.size(), port);
    return port;
}

int serve() {
    auto listener = pirn::listen("127.0.0.1:0");
    if (!listener) bench::fail("listen", listener.error().message());
    bench::announce(port_of(listener->address()));
    for (;;) {
        auto connection = listener->accept();
        if (!connection) bench::fail("accept", connection.error().message());
        pirn::go(echo, std::move(*connection));
    }
}

}  // namespace

int main(int argc, char** argv) {
    const auto args = bench::parse(argc, argv, {});
    bench::end_with_stdin();
    return pirn::run(serve, {.procs = static_cast<int>(args.procs)});
}
