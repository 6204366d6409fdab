// SPDX-License-Identifier: MIT
// An echo server: each connection is a goroutine that writes back what it reads.
#include <cstddef>
#include <memory>
#include <span>

#include "args.h"
#include "goroutine_server.h"
#include "service.h"

namespace {

constexpr examples::server_usage k_usage{
    .program = "echo_server",
    .summary = "Writes back to every connection what it sends, one goroutine per connection.",
    .default_listen = "127.0.0.1:7000",
};

constexpr std::size_t k_buffer_bytes = 16 << 10;

// Echoes until the peer ends the connection or an error does. Blocks.
void echo(pirn::conn& connection, examples::service_totals& totals) {
    totals.connections.fetch_add(1, std::memory_order_relaxed);
    const auto buffer = std::make_unique_for_overwrite<std::byte[]>(k_buffer_bytes);
    for (;;) {
        const auto got = connection.read({buffer.get(), k_buffer_bytes});
        if (!got || *got == 0) {
            return;
        }
        // Counted before it is sent, so that a client that has its answer is in the totals.
        totals.add(1, *got, *got);
        if (!connection.write({buffer.get(), *got})) {
            return;
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    const auto args = examples::parse_server_args(argc, argv, k_usage);
    if (!args) {
        return args.error();
    }
    examples::service_totals totals;
    return examples::run_goroutine_server(
        k_usage, *args, totals, [&totals](pirn::conn& connection) { echo(connection, totals); });
}
