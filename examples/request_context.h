// SPDX-License-Identifier: MIT
// A request's context: the trace id that goes with it to every goroutine, the time it may take, and
// its end when the client goes away.
#pragma once

#include <pirn/context.h>
#include <pirn/net.h>
#include <pirn/runtime.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <expected>
#include <optional>
#include <random>
#include <string>
#include <system_error>

#include "client_watch.h"
#include "http_session.h"

namespace examples {

// What finds a request again in all that was done for it: ctx.value(k_trace_id), in any goroutine
// that has a context below the request's.
inline constexpr pirn::context_key<std::string> k_trace_id("trace_id");

// What a handler says to its request; an error that is a timeout becomes 504, any other one 500.
struct handler_reply {
    http_session::status code = http_session::status::ok;
    std::string body;
};
using handler_result = std::expected<handler_reply, std::error_code>;

// Made before main, because no goroutine may lose its P amid the initialization of a static local.
inline const std::uint64_t k_first_trace_number =
    std::uint64_t{std::random_device{}()} << 32 | std::random_device{}();

// An id that no other request of this process has, nor, with luck, one of another process.
inline std::string make_trace_id() {
    static constinit std::atomic<std::uint64_t> made{0};
    // Relaxed: only distinct numbers are asked for.
    const std::uint64_t number = made.fetch_add(1, std::memory_order_relaxed);
    char text[24];
    const int size = std::snprintf(text, sizeof text, "%016llx",
                                   static_cast<unsigned long long>(k_first_trace_number + number));
    return {text, static_cast<std::size_t>(size)};
}

inline handler_reply reply_to_error(std::error_code error) {
    using enum http_session::status;
    return {.code = error == std::errc::timed_out ? gateway_timeout : internal_server_error,
            .body = error.message() + '\n'};
}

// Answers session.pending() with handle(ctx, request), for serve_http. The handler has all that it
// starts end before it returns, and waits with its context only: so it returns soon, with the
// context's error, when the time is over or the client has gone.
template <class Handler>
std::optional<std::size_t> answer_in_context(pirn::conn& connection, http_session& session,
                                             std::chrono::milliseconds timeout,
                                             const Handler& handle) {
    const http_session::request& asked = *session.pending();
    std::string id(trace_id_of(asked));
    if (id.empty()) {
        id = make_trace_id();
    }
    const auto [ctx, cancel] =
        pirn::with_timeout(pirn::with_value(pirn::background(), k_trace_id, id), timeout);
    const pirn::defer done([&cancel] { cancel(); });

    client_watch watch(connection, session.read_space(), ctx, cancel);
    handler_result made = handle(ctx, asked);
    const std::optional<std::size_t> arrived = watch.end();
    if (!arrived) {
        return std::nullopt;  // There is nobody to answer.
    }
    const handler_reply reply = made ? *std::move(made) : reply_to_error(made.error());
    session.reply({.code = reply.code, .body = reply.body, .trace_id = id});
    return arrived;
}

}  // namespace examples
