// SPDX-License-Identifier: MIT
// An HTTP/1.1 server: each connection is a goroutine that reads, answers and writes as if it were
// alone.
#include "args.h"
#include "goroutine_server.h"
#include "http_handler.h"
#include "service.h"

namespace {

constexpr examples::server_usage k_usage{
    .program = "http_server",
    .summary =
        "Serves HTTP/1.1 with one goroutine per connection: GET / greets, POST /echo "
        "echoes.",
    .default_listen = "127.0.0.1:8080",
};

}  // namespace

int main(int argc, char** argv) {
    const auto args = examples::parse_server_args(argc, argv, k_usage);
    if (!args) {
        return args.error();
    }
    examples::service_totals totals;
    return examples::run_goroutine_server(
        k_usage, *args, totals,
        [&totals](pirn::conn& connection) { examples::serve_http(connection, totals); });
}
