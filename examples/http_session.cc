// SPDX-License-Identifier: MIT
// The decisions of an HTTP/1.1 connection: limits, routes, keep-alive, and the replies' text.
//
// Only what Beast's parser leaves open is checked here: it counts header bytes per call and not per
// request, lets a transfer coding pass that it does not know, and does not ask for Host.
#include "http_session.h"

#include <boost/beast/http/field.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/http/verb.hpp>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

namespace examples {

namespace http = boost::beast::http;

namespace {

// A connection's first buffer: room for a browser's request, or for two dozen small pipelined ones.
constexpr std::size_t k_input_bytes = 1 << 10;
// A buffer that grew keeps this much, so that a pipelining client does not make it grow again.
constexpr std::size_t k_kept_input_bytes = 16 << 10;
// It grows to this while much arrives at once. More than this in hand that the parser cannot use is
// a single token (a chunk's extension, a trailer) and no reasonable one.
constexpr std::size_t k_max_input_bytes = 64 << 10;
// An output buffer that grew past this is given back once it is sent.
constexpr std::size_t k_kept_output_bytes = 16 << 10;

constexpr std::string_view k_hello = "Hello, World!\n";

std::string_view as_std(boost::beast::string_view text) {
    return {text.data(), text.size()};
}

// A request's target without the "http://host" that a client may send in front of it (RFC 7230,
// 5.3.2, asks every server to accept that).
std::string_view local_target(const http_session::request& asked) {
    constexpr std::string_view k_scheme = "http://";
    const std::string_view target = as_std(asked.target());
    if (!target.starts_with(k_scheme)) {
        return target;
    }
    const std::size_t slash = target.find('/', k_scheme.size());
    return slash == std::string_view::npos ? "/" : target.substr(slash);
}

void append_number(std::string& out, std::size_t number) {
    char digits[24];
    const auto result = std::to_chars(std::begin(digits), std::end(digits), number);
    out.append(digits, result.ptr);
}

}  // namespace

std::string_view trace_id_of(const http_session::request& asked) {
    constexpr std::size_t k_max_trace_id_bytes = 128;
    const std::string_view id = as_std(asked["X-Request-Id"]);
    const bool fit = id.size() <= k_max_trace_id_bytes &&
                     std::all_of(id.begin(), id.end(), [](char c) { return c > ' ' && c < 127; });
    return fit ? id : std::string_view();
}

std::string_view path_of(const http_session::request& asked) {
    const std::string_view target = local_target(asked);
    return target.substr(0, target.find('?'));
}

std::string_view query_of(const http_session::request& asked) {
    const std::string_view target = local_target(asked);
    const std::size_t mark = target.find('?');
    return mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
}

http_session::http_session()
    : input_(std::make_unique_for_overwrite<std::byte[]>(k_input_bytes)),
      capacity_(k_input_bytes) {}

std::span<std::byte> http_session::read_space() {
    return {input_.get() + end_, capacity_ - end_};
}

void http_session::replies_sent() {
    if (output_.capacity() > k_kept_output_bytes) {
        std::string().swap(output_);
    } else {
        output_.clear();
    }
}

std::size_t http_session::received(std::size_t count) {
    end_ += count;
    while (!finished_ && !pending_ && parse_request()) {
        answer();
    }
    if (!finished_) {
        make_room(count);
    }
    return std::exchange(answered_, 0);
}

// What is left goes to the front of a buffer that fits: twice as large when it is full or the read
// of count bytes filled it, for then more is waiting; and back to what is kept once it is empty.
void http_session::make_room(std::size_t count) {
    const std::size_t left = end_ - begin_;
    if (left >= k_max_input_bytes && !pending_) {
        refuse(status::bad_request);
        return;
    }
    std::size_t wanted = capacity_;
    if (capacity_ < k_max_input_bytes && (left == capacity_ || count == capacity_)) {
        wanted = capacity_ * 2;
    } else if (left == 0) {
        wanted = std::min(capacity_, k_kept_input_bytes);
    }
    if (wanted != capacity_) {
        auto grown = std::make_unique_for_overwrite<std::byte[]>(wanted);
        std::memcpy(grown.get(), input_.get() + begin_, left);
        input_ = std::move(grown);
        capacity_ = wanted;
    } else if (begin_ > 0 && left > 0) {
        std::memmove(input_.get(), input_.get() + begin_, left);
    }
    begin_ = 0;
    end_ = left;
}

// Feeds the parser; true when a request is complete.
bool http_session::parse_request() {
    if (!parser_) {
        skip_blank_lines();
        if (begin_ == end_) {
            return false;
        }
        parser_.emplace();
        parser_->header_limit(k_header_limit);
        parser_->body_limit(k_body_limit);
        parser_->eager(true);
        header_bytes_ = 0;
        continue_sent_ = false;
    }
    boost::beast::error_code error;
    const std::size_t used =
        parser_->put(boost::asio::const_buffer(input_.get() + begin_, end_ - begin_), error);
    begin_ += used;
    if (error && error != http::error::need_more) {
        refuse(error);
        return false;
    }
    if (parser_->is_done()) {
        return true;
    }
    if (!parser_->is_header_done()) {
        header_bytes_ += used;
        if (header_bytes_ + (end_ - begin_) > k_header_limit) {
            refuse(http::error::header_limit);
        }
        return false;
    }
    continue_if_expected();
    return false;
}

// Empty lines in front of a request are ignored (RFC 7230, 3.5).
void http_session::skip_blank_lines() {
    while (begin_ < end_ &&
           (input_[begin_] == std::byte{'\r'} || input_[begin_] == std::byte{'\n'})) {
        ++begin_;
    }
}

// A client that asks first is told to go on with its body, unless it did so already.
void http_session::continue_if_expected() {
    if (continue_sent_) {
        return;
    }
    continue_sent_ = true;
    const request& asked = parser_->get();
    const bool body_began = begin_ != end_ || !asked.body().empty();
    if (!body_began && asked.version() >= 11 &&
        boost::beast::iequals(asked[http::field::expect], "100-continue")) {
        output_ += "HTTP/1.1 100 Continue\r\n\r\n";
    }
}

// Answers the request that the parser has completed.
void http_session::answer() {
    const request& asked = parser_->get();
    const bool known_coding =
        parser_->chunked() || asked.find(http::field::transfer_encoding) == asked.end();
    const std::size_t hosts = asked.count(http::field::host);
    if (!known_coding) {
        refuse(status::not_implemented);
        return;
    }
    if (hosts > 1 || (hosts == 0 && asked.version() >= 11)) {
        refuse(status::bad_request);
        return;
    }
    std::optional<content> now = route(asked);
    pending_ = !now;
    if (now) {
        now->trace_id = trace_id_of(asked);
        reply(*now);
    }
}

void http_session::reply(const content& reply) {
    const request& asked = parser_->get();
    const bool keep_alive = asked.keep_alive();
    append_reply(reply, keep_alive, asked.version(), asked.method() != http::verb::head);
    finished_ = !keep_alive;
    pending_ = false;
    parser_.reset();
}

// What the server has to say at once: a greeting at /, and at /echo the request's own body. Else
// nothing: the caller is to answer.
std::optional<http_session::content> http_session::route(const request& asked) const {
    const std::string_view path = path_of(asked);
    const http::verb method = asked.method();
    if (method == http::verb::unknown) {
        return content{.code = status::not_implemented, .body = "unknown method\n"};
    }
    if (path == "/") {
        if (method != http::verb::get && method != http::verb::head) {
            return content{.code = status::method_not_allowed,
                           .body = "try GET\n",
                           .extra_field = "Allow: GET, HEAD\r\n"};
        }
        return content{.body = k_hello};
    }
    if (path == "/echo") {
        if (method != http::verb::post && method != http::verb::put) {
            return content{.code = status::method_not_allowed,
                           .body = "try POST\n",
                           .extra_field = "Allow: POST, PUT\r\n"};
        }
        return content{.type = "application/octet-stream", .body = asked.body()};
    }
    return std::nullopt;
}

void http_session::refuse(boost::beast::error_code error) {
    if (error == http::error::header_limit) {
        refuse(status::request_header_fields_too_large);
    } else if (error == http::error::body_limit || error == http::error::buffer_overflow) {
        refuse(status::payload_too_large);
    } else {
        refuse(status::bad_request);
    }
}

// Answers input that is no acceptable request. Where the next one would begin is unknown, so the
// connection ends.
void http_session::refuse(status code) {
    append_reply({.code = code, .body = as_std(http::obsolete_reason(code))}, false, 11, true);
    finished_ = true;
    refused_ = true;
    parser_.reset();
}

void http_session::append_reply(const content& reply, bool keep_alive, unsigned version,
                                bool with_body) {
    ++answered_;
    output_ += "HTTP/1.1 ";
    append_number(output_, static_cast<unsigned>(reply.code));
    output_ += ' ';
    output_ += as_std(http::obsolete_reason(reply.code));
    output_ += "\r\nServer: pirn\r\nDate: ";
    output_ += date();
    output_ += "\r\nContent-Type: ";
    output_ += reply.type;
    output_ += "\r\nContent-Length: ";
    append_number(output_, reply.body.size());
    output_ += "\r\n";
    output_ += reply.extra_field;
    if (!reply.trace_id.empty()) {
        output_ += "X-Request-Id: ";
        output_ += reply.trace_id;
        output_ += "\r\n";
    }
    if (!keep_alive) {
        output_ += "Connection: close\r\n";
    } else if (version < 11) {
        output_ += "Connection: keep-alive\r\n";  // An HTTP/1.0 client waits for this word.
    }
    output_ += "\r\n";
    if (with_body) {
        output_ += reply.body;
    }
}

// The present second as HTTP writes it, made once per second. The text belongs to the session: a
// text shared by all connections would need a lock, and a thread's own text would not do where a
// goroutine may change threads at any wait.
std::string_view http_session::date() {
    const std::time_t now = std::time(nullptr);
    if (now != date_second_) {
        std::tm parts{};
        gmtime_r(&now, &parts);
        std::strftime(date_text_, sizeof date_text_, "%a, %d %b %Y %H:%M:%S GMT", &parts);
        date_second_ = now;
    }
    return date_text_;
}

}  // namespace examples
