// SPDX-License-Identifier: MIT
// An HTTP/1.1 server: each connection is a goroutine that reads, answers and writes as if it were
// alone; each request that takes time has a context, which all that works for it shares.
#include <pirn/context.h>
#include <pirn/runtime.h>
#include <pirn/sleep.h>

#include <atomic>
#include <charconv>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "args.h"
#include "goroutine_server.h"
#include "http_handler.h"
#include "request_context.h"
#include "service.h"

namespace {

using examples::handler_reply;
using examples::handler_result;
using examples::http_session;

constexpr examples::server_usage k_usage{
    .program = "http_server",
    .summary =
        "Serves HTTP/1.1 with one goroutine per connection: GET / greets, POST /echo echoes,\n"
        "GET /parts?n=N&ms=MS lets N goroutines work for MS milliseconds and tell their request's\n"
        "X-Request-Id, GET /stats counts goroutines.",
    .default_listen = "127.0.0.1:8080",
    .has_timeout = true,
};

constexpr unsigned k_max_parts = 1000;
constexpr unsigned k_max_part_ms = 60'000;

std::atomic<int> parts_running{0};  // Statistics only: relaxed.

// One part of a request, with what only its context tells it. The sleep stands for a question to
// another server.
std::error_code work(const pirn::context& ctx, std::chrono::milliseconds time, std::string& out) {
    parts_running.fetch_add(1, std::memory_order_relaxed);
    const pirn::defer leave([] { parts_running.fetch_sub(1, std::memory_order_relaxed); });
    if (const auto slept = pirn::sleep_for(time, ctx); !slept) {
        return slept.error();
    }
    out = "trace " + *ctx.value(examples::k_trace_id) + '\n';
    return {};
}

// The number that the query gives to the name; nothing if it is none, or above max.
std::optional<unsigned> parameter(std::string_view query, std::string_view name, unsigned otherwise,
                                  unsigned max) {
    while (!query.empty()) {
        const std::string_view pair = query.substr(0, query.find('&'));
        query.remove_prefix(pair.size() < query.size() ? pair.size() + 1 : pair.size());
        if (!pair.starts_with(name) || pair.substr(name.size(), 1) != "=") {
            continue;
        }
        const std::string_view text = pair.substr(name.size() + 1);
        unsigned number = 0;
        const auto [end, error] = std::from_chars(text.begin(), text.end(), number);
        if (error != std::errc{} || end != text.end() || number > max) {
            return std::nullopt;
        }
        return number;
    }
    return otherwise;
}

// Does the parts all at once. The first that fails ends the others, as does what ends the request.
handler_result answer_parts(const pirn::context& request_ctx, std::string_view query) {
    const std::optional<unsigned> count = parameter(query, "n", 4, k_max_parts);
    const std::optional<unsigned> ms = parameter(query, "ms", 10, k_max_part_ms);
    if (!count || !ms) {
        return handler_reply{.code = http_session::status::bad_request,
                             .body = "n is at most 1000, ms at most 60000\n"};
    }
    std::vector<std::string> lines(*count);
    auto [group, ctx] = pirn::with_context(request_ctx);
    for (std::string& line : lines) {
        group.go([&line, &ctx, time = std::chrono::milliseconds(*ms)] {
            return work(ctx, time, line);
        });
    }
    if (const std::error_code error = group.wait()) {
        return std::unexpected(error);
    }
    std::string body;
    for (const std::string& line : lines) {
        body += line;
    }
    return handler_reply{.body = std::move(body)};
}

handler_result answer(const pirn::context& ctx, const http_session::request& asked) {
    using boost::beast::http::verb;
    const std::string_view path = examples::path_of(asked);
    if (path != "/parts" && path != "/stats") {
        return handler_reply{.code = http_session::status::not_found, .body = "nothing here\n"};
    }
    if (asked.method() != verb::get && asked.method() != verb::head) {
        return handler_reply{.code = http_session::status::method_not_allowed,
                             .body = "try GET\n"};
    }
    if (path == "/parts") {
        return answer_parts(ctx, examples::query_of(asked));
    }
    return handler_reply{
        .body = "goroutines " + std::to_string(pirn::num_goroutine()) + "\nparts " +
                std::to_string(parts_running.load(std::memory_order_relaxed)) + '\n'};
}

}  // namespace

int main(int argc, char** argv) {
    const auto args = examples::parse_server_args(argc, argv, k_usage);
    if (!args) {
        return args.error();
    }
    examples::service_totals totals;
    const auto answer_pending = [timeout = args->timeout](pirn::conn& connection,
                                                          http_session& session) {
        return examples::answer_in_context(connection, session, timeout, answer);
    };
    return examples::run_goroutine_server(
        k_usage, *args, totals, [&totals, &answer_pending](pirn::conn& connection) {
            examples::serve_http(connection, totals, answer_pending);
        });
}
