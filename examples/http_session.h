// SPDX-License-Identifier: MIT
// The HTTP/1.1 half of a connection without its socket: bytes in, replies out, no waiting.
//
// What reads and writes is the caller's affair (http_handler.h), so that a goroutine and a thread
// run exactly this code. Boost.Beast parses; this class decides. What can be answered at once it
// answers itself; any other request is the caller's to answer, who may take his time: the requests
// behind it wait in the input.
//
// Invariants:
//  - input_[begin_, end_) holds the bytes that arrived and that the parser has not consumed.
//  - parser_ is engaged exactly while a request is incomplete or pending.
//  - Once finished_ is set no more input is parsed: output_ ends with the connection's last reply.
#pragma once

// Beast (1.74) asserts that the five bytes of a chunked body's end, "0\r\n\r\n", come together. A
// peer may send them one by one, and the code behind the assertion handles that rightly; no peer
// may end the server.
#define BOOST_DISABLE_ASSERTS
#include <boost/asio/buffer.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace examples {

class http_session {
  public:
    using parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
    using request = parser::value_type;
    using status = boost::beast::http::status;

    // What a reply says.
    struct content {
        status code = status::ok;
        std::string_view type = "text/plain; charset=utf-8";
        std::string_view body;
        std::string_view extra_field = {};  // A whole field line with its CRLF, or nothing.
        std::string_view trace_id = {};     // Goes back to the client, unless it is empty.
    };

    // A request whose line and fields together are longer is answered with 431.
    static constexpr std::size_t k_header_limit = 8 << 10;
    // A request with a longer body is answered with 413.
    static constexpr std::size_t k_body_limit = 1 << 20;

    http_session();

    // Where the next read puts its bytes. Empty only if finished(), or if the input is full of
    // requests that come after the pending one.
    std::span<std::byte> read_space();

    // Takes the count bytes that a read put into read_space(), and appends to replies() an answer
    // to every request that is now complete, in order, up to the first that is the caller's to
    // answer. Returns the number of requests answered since the last call.
    std::size_t received(std::size_t count);

    // The request that the caller is to answer; nullptr: none is. It stays where it is until then,
    // and so does read_space().
    const request* pending() const { return pending_ ? &parser_->get() : nullptr; }
    // Answers it; call received() afterwards, for the requests that came meanwhile.
    void reply(const content& reply);

    // What is to be written, all requests of one read in one piece; valid until replies_sent().
    std::span<const std::byte> replies() const { return std::as_bytes(std::span(output_)); }
    void replies_sent();

    // The connection ends once replies() is written.
    bool finished() const { return finished_; }
    // It ends because the input was refused, so the peer may be sending still.
    bool refused() const { return refused_; }

  private:
    bool parse_request();
    void make_room(std::size_t count);
    void skip_blank_lines();
    void continue_if_expected();
    void answer();
    std::optional<content> route(const request& asked) const;
    void refuse(boost::beast::error_code error);
    void refuse(status code);
    void append_reply(const content& reply, bool keep_alive, unsigned version, bool with_body);
    std::string_view date();

    std::unique_ptr<std::byte[]> input_;
    std::size_t capacity_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    std::string output_;

    // The request being read.
    std::optional<parser> parser_;
    std::size_t header_bytes_ = 0;
    bool continue_sent_ = false;
    bool pending_ = false;

    std::size_t answered_ = 0;
    bool finished_ = false;
    bool refused_ = false;

    // The Date field's text and the second that it stands for.
    std::time_t date_second_ = 0;
    char date_text_[32] = {};
};

// The id by which the client wants to find this request again, from its X-Request-Id field; empty
// if there is none, or none that is fit to be copied around.
std::string_view trace_id_of(const http_session::request& asked);
// What it asks for, without the query; and the query, without its "?".
std::string_view path_of(const http_session::request& asked);
std::string_view query_of(const http_session::request& asked);

}  // namespace examples
