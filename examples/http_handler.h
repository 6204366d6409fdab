// SPDX-License-Identifier: MIT
// Serves HTTP/1.1 on one connection, written once for goroutines and for threads.
#pragma once

#include <concepts>
#include <cstddef>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <system_error>

#include "http_session.h"
#include "service.h"

namespace examples {

// What the handler needs of a connection. read returns 0 at the end of the stream; write writes all
// or fails; close_write tells the peer that nothing more comes. All of them may block the caller.
template <class Stream>
concept byte_stream = requires(Stream& stream, std::span<std::byte> space,
                               std::span<const std::byte> bytes) {
    { stream.read(space) } -> std::same_as<std::expected<std::size_t, std::error_code>>;
    { stream.write(bytes) } -> std::same_as<std::expected<std::size_t, std::error_code>>;
    stream.close_write();
};

// Lets the peer of a refused request read the answer. Closing at once while its bytes still arrive
// would send a reset, and a reset throws away what the peer has not read yet. So it gets the end of
// the stream first, and what it is still sending is read and dropped, within a limit.
template <byte_stream Stream>
void drain_refused(Stream& stream) {
    constexpr std::size_t k_piece_bytes = 16 << 10;
    constexpr std::size_t k_drain_limit_bytes = 16 << 20;
    stream.close_write();
    const auto scratch = std::make_unique_for_overwrite<std::byte[]>(k_piece_bytes);
    for (std::size_t drained = 0; drained < k_drain_limit_bytes;) {
        const auto got = stream.read({scratch.get(), k_piece_bytes});
        if (!got || *got == 0) {
            return;
        }
        drained += *got;
    }
}

// Serves the connection until its peer ends it, an error does, or a request asks for it. Blocks the
// caller: a goroutine or a thread. One read and one write per batch of pipelined requests.
//
// answer(stream, session) answers session.pending() and returns how many bytes it has put into
// session.read_space() meanwhile; nothing, if the connection is to end.
template <byte_stream Stream, class Answer>
void serve_http(Stream& stream, service_totals& totals, const Answer& answer) {
    totals.connections.fetch_add(1, std::memory_order_relaxed);
    const auto read = [&stream](http_session& session) -> std::optional<std::size_t> {
        const auto got = stream.read(session.read_space());
        return got && *got > 0 ? std::optional(*got) : std::nullopt;
    };
    http_session session;
    while (!session.finished()) {
        const std::optional<std::size_t> got =
            session.pending() != nullptr ? answer(stream, session) : read(session);
        if (!got) {
            return;
        }
        const std::size_t answered = session.received(*got);
        const std::span<const std::byte> replies = session.replies();
        // Counted before it is sent, so that a client that has its answer is in the totals.
        totals.add(answered, *got, replies.size());
        if (!replies.empty() && !stream.write(replies)) {
            return;
        }
        session.replies_sent();
    }
    if (session.refused()) {
        drain_refused(stream);
    }
}

// For who has no answer to what the session leaves to him.
inline std::size_t answer_not_found(http_session& session) {
    session.reply({.code = http_session::status::not_found, .body = "nothing here\n"});
    return 0;
}

}  // namespace examples
