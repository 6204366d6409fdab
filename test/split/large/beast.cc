// SPDX-License-Identifier: MIT
// Brings in Boost.Beast where there is one: templates upon templates.
#if __has_include(<boost/beast/http.hpp>)
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <string>

std::string target_of(std::string_view request) {
    namespace beast = boost::beast;
    beast::http::request_parser<beast::http::string_body> parser;
    parser.eager(true);
    beast::error_code error;
    parser.put(boost::asio::buffer(request.data(), request.size()), error);
    if (error) return error.message();
    return std::string(parser.get().target()) + parser.get().body();
}
#endif
