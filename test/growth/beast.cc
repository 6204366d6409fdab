// SPDX-License-Identifier: MIT
// A large template library, parsing HTTP: none of its authors thought of a stack of two kilobytes.
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include <sstream>
#include <string>

#include <pirn/chan.h>

#include "test/growth/subject.h"

namespace http = boost::beast::http;

using growth::at_depth;
using growth::at_each_depth;

namespace {

const std::string k_request =
    "POST /path?query=1 HTTP/1.1\r\nHost: example.org\r\nContent-Type: text/plain\r\n"
    "X-Long: " + std::string(500, 'v') + "\r\nContent-Length: 11\r\n\r\nhello world";

GROWTH_SUBJECT("beast: a request is parsed") {
    auto calls = [&] {
        http::request_parser<http::string_body> parser;
        boost::beast::error_code error;
        parser.eager(true);
        const auto used =
            parser.put(boost::asio::buffer(k_request.data(), k_request.size()), error);
        EXPECT(!error && used == k_request.size() && parser.is_done());
        const auto request = parser.release();
        EXPECT(request.method() == http::verb::post && request.body() == "hello world");
        EXPECT(request[http::field::host] == "example.org" && request["X-Long"].size() == 500);
    };
    at_each_depth(calls, 24);
}

GROWTH_SUBJECT("beast: a request that comes in pieces, parking between them") {
    const auto pieces = pirn::make_chan<std::string>();
    const auto bodies = pirn::make_chan<std::string>();
    growth::start([=] {
        http::request_parser<http::string_body> parser;
        parser.eager(true);
        std::string waiting;
        at_depth(9, [&] {
            for (const std::string& piece : pieces) {
                waiting += piece;
                boost::beast::error_code error;
                const auto used =
                    parser.put(boost::asio::buffer(waiting.data(), waiting.size()), error);
                waiting.erase(0, used);
                if (error && error != http::error::need_more) waiting = error.message();
            }
        });
        bodies.send(parser.is_done() ? parser.get().body() : "unfinished: " + waiting);
    });
    for (std::size_t at = 0; at < k_request.size(); at += 50) pieces.send(k_request.substr(at, 50));
    pieces.close();
    EXPECT(bodies.recv() == "hello world");
}

GROWTH_SUBJECT("beast: a broken request and a response") {
    auto calls = [&] {
        http::request_parser<http::string_body> parser;
        boost::beast::error_code error;
        const std::string broken = "GET / HTTP/9.9\r\n\r\n";
        parser.put(boost::asio::buffer(broken.data(), broken.size()), error);
        EXPECT(error == http::error::bad_version);
        http::response<http::string_body> response(http::status::not_found, 11);
        response.set(http::field::server, "subject");
        response.body() = "nothing here";
        response.prepare_payload();
        std::ostringstream out;
        out << response;
        EXPECT(out.str() == "HTTP/1.1 404 Not Found\r\nServer: subject\r\n"
                            "Content-Length: 12\r\n\r\nnothing here");
    };
    at_each_depth(calls, 12);
}

}  // namespace
