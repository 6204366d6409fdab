// SPDX-License-Identifier: MIT
// Addresses: which texts mean what, which are refused and how, and that formatting undoes parsing.
#include "net/address.h"

#include <net/if.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <vector>

using namespace pirn::net;

namespace {

struct good_case {
    std::string text;
    std::vector<std::string> to_listen;
    std::vector<std::string> to_dial;
};

struct bad_case {
    std::string text;
    address_errc error;
};

std::vector<std::string> texts_of(const endpoints& found) {
    std::vector<std::string> all;
    for (const endpoint& e : found) all.push_back(e.to_string());
    return all;
}

bool same_bytes(const endpoint& a, const endpoint& b) {
    return a.size() == b.size() && std::equal(reinterpret_cast<const char*>(a.data()),
                                              reinterpret_cast<const char*>(a.data()) + a.size(),
                                              reinterpret_cast<const char*>(b.data()));
}

std::string loopback_zone() {
    char name[IF_NAMESIZE];
    return if_indextoname(1, name) != nullptr ? name : "1";
}

}  // namespace

TEST_CASE("addresses are parsed, for listening and for dialing", "[net][address]") {
    const std::vector<good_case> cases = {
        {"127.0.0.1:0", {"127.0.0.1:0"}, {"127.0.0.1:0"}},
        {"127.0.0.1:", {"127.0.0.1:0"}, {"127.0.0.1:0"}},
        {"192.0.2.255:65535", {"192.0.2.255:65535"}, {"192.0.2.255:65535"}},
        {"0.0.0.0:80", {"0.0.0.0:80"}, {"0.0.0.0:80"}},
        {"127.0.0.1:00080", {"127.0.0.1:80"}, {"127.0.0.1:80"}},
        {"[::1]:80", {"[::1]:80"}, {"[::1]:80"}},
        {"[::]:80", {"[::]:80"}, {"[::]:80"}},
        {"[2001:DB8:0:0:0:0:0:1]:443", {"[2001:db8::1]:443"}, {"[2001:db8::1]:443"}},
        {"[::ffff:192.0.2.1]:443", {"192.0.2.1:443"}, {"192.0.2.1:443"}},
        {"[127.0.0.1]:80", {"127.0.0.1:80"}, {"127.0.0.1:80"}},
        {":80", {"[::]:80", "0.0.0.0:80"}, {"127.0.0.1:80", "[::1]:80"}},
        {"[]:80", {"[::]:80", "0.0.0.0:80"}, {"127.0.0.1:80", "[::1]:80"}},
        {":", {"[::]:0", "0.0.0.0:0"}, {"127.0.0.1:0", "[::1]:0"}},
        {"localhost:80", {"127.0.0.1:80", "[::1]:80"}, {"127.0.0.1:80", "[::1]:80"}},
        {"LocalHost.:80", {"127.0.0.1:80", "[::1]:80"}, {"127.0.0.1:80", "[::1]:80"}},
        {"unix:/run/x.sock", {"unix:/run/x.sock"}, {"unix:/run/x.sock"}},
        {"unix:relative", {"unix:relative"}, {"unix:relative"}},
        {"unix:@name", {"unix:@name"}, {"unix:@name"}},
        {"unix:" + std::string(107, 'p'),
         {"unix:" + std::string(107, 'p')},
         {"unix:" + std::string(107, 'p')}},
    };
    for (const good_case& c : cases) {
        INFO("address: " << c.text);
        const auto to_listen = parse_address(c.text, purpose::listen);
        const auto to_dial = parse_address(c.text, purpose::dial);
        REQUIRE(to_listen.has_value());
        REQUIRE(to_dial.has_value());
        CHECK(texts_of(*to_listen) == c.to_listen);
        CHECK(texts_of(*to_dial) == c.to_dial);
    }
}

TEST_CASE("bad addresses are refused by what is wrong with them", "[net][address]") {
    const std::vector<bad_case> cases = {
        {"", address_errc::missing_port},
        {"127.0.0.1", address_errc::missing_port},
        {"localhost", address_errc::missing_port},
        {"80", address_errc::missing_port},
        {"[::1]", address_errc::missing_port},
        {"[::1]x", address_errc::missing_port},
        {"::1:80", address_errc::too_many_colons},
        {"127.0.0.1:80:90", address_errc::too_many_colons},
        {"[::1]:80:90", address_errc::too_many_colons},
        {"http://127.0.0.1:80", address_errc::too_many_colons},
        {"[::1:80", address_errc::bad_brackets},
        {"::1]:80", address_errc::too_many_colons},
        {"1]:80", address_errc::bad_brackets},
        {"[1:80", address_errc::bad_brackets},
        {"[::1]80:90", address_errc::bad_brackets},
        {"[[::1]]:80", address_errc::bad_brackets},
        {"127.0.0.1:[80]", address_errc::bad_brackets},
        {"127.0.0.1:65536", address_errc::bad_port},
        {"127.0.0.1:99999999999999999999", address_errc::bad_port},
        {"127.0.0.1:-1", address_errc::bad_port},
        {"127.0.0.1:+80", address_errc::bad_port},
        {"127.0.0.1: 80", address_errc::bad_port},
        {"127.0.0.1:80 ", address_errc::bad_port},
        {"127.0.0.1:0x50", address_errc::bad_port},
        {"127.0.0.1:http", address_errc::bad_port},
        {std::string("127.0.0.1:80\0", 13), address_errc::bad_port},
        {"example.com:80", address_errc::bad_host},
        {"localhosts:80", address_errc::bad_host},
        {"127.0.0.256:80", address_errc::bad_host},
        {"127.0.0:80", address_errc::bad_host},
        {"127.0.0.1.1:80", address_errc::bad_host},
        {"0x7f.0.0.1:80", address_errc::bad_host},
        {" 127.0.0.1:80", address_errc::bad_host},
        {"127.0.0.1%lo:80", address_errc::bad_host},
        {std::string("127.0.0.1\0x:80", 14), address_errc::bad_host},
        {std::string(10000, '1') + ":80", address_errc::bad_host},
        {"[::g]:80", address_errc::bad_host},
        {"[1:2:3:4:5:6:7:8:9]:80", address_errc::bad_host},
        {"[fe80::1%]:80", address_errc::bad_zone},
        {"[fe80::1%0]:80", address_errc::bad_zone},
        {"[fe80::1%no-such-if]:80", address_errc::bad_zone},
        {"[fe80::1%a-name-that-is-too-long-for-one]:80", address_errc::bad_zone},
        {"[::ffff:1.2.3.4%80]:80", address_errc::bad_zone},
        {"unix:", address_errc::bad_path},
        {"unix:@", address_errc::bad_path},
        {"unix:" + std::string(108, 'p'), address_errc::bad_path},
        {std::string("unix:/a\0b", 9), address_errc::bad_path},
    };
    for (const bad_case& c : cases) {
        INFO("address: " << c.text);
        for (const purpose why : {purpose::listen, purpose::dial}) {
            const auto found = parse_address(c.text, why);
            REQUIRE_FALSE(found.has_value());
            CHECK(found.error() == c.error);
            CHECK(found.error() == std::errc::invalid_argument);
        }
    }
}

TEST_CASE("each address error has a message of its own", "[net][address]") {
    std::vector<std::string> seen;
    for (const auto e : {address_errc::missing_port, address_errc::too_many_colons,
                         address_errc::bad_brackets, address_errc::bad_port, address_errc::bad_host,
                         address_errc::bad_zone, address_errc::bad_path}) {
        const std::string message = make_error_code(e).message();
        CHECK(message.find("address") != std::string::npos);
        CHECK(message.find("unknown") == std::string::npos);
        CHECK(message.find('\n') == std::string::npos);
        CHECK(std::find(seen.begin(), seen.end(), message) == seen.end());
        seen.push_back(message);
    }
}

TEST_CASE("an IPv6 zone is an interface, by name or number", "[net][address]") {
    const std::string by_name = "[fe80::1%" + loopback_zone() + "]:80";
    for (const std::string& text : {by_name, std::string("[fe80::1%1]:80")}) {
        const auto found = parse_address(text, purpose::dial);
        REQUIRE(found.has_value());
        REQUIRE(found->count == 1);
        const auto* v6 = reinterpret_cast<const sockaddr_in6*>(found->at[0].data());
        CHECK(v6->sin6_scope_id == 1);
        CHECK(found->at[0].to_string() == by_name);
    }
    const auto unknown = parse_address("[fe80::1%4000000000]:80", purpose::dial);
    REQUIRE(unknown.has_value());
    CHECK(unknown->at[0].to_string() == "[fe80::1%4000000000]:80");
}

TEST_CASE("unix addresses are a path with its NUL, or an abstract name without", "[net][address]") {
    constexpr socklen_t k_header = offsetof(sockaddr_un, sun_path);
    const auto file = parse_address("unix:/p", purpose::dial);
    REQUIRE(file.has_value());
    CHECK(file->at[0].size() == k_header + 3);
    CHECK(file->at[0].file_path() == "/p");
    const auto abstract = parse_address("unix:@name", purpose::dial);
    REQUIRE(abstract.has_value());
    CHECK(abstract->at[0].size() == k_header + 5);
    const auto* un = reinterpret_cast<const sockaddr_un*>(abstract->at[0].data());
    CHECK(std::string(un->sun_path, 5) == std::string("\0name", 5));
    CHECK(abstract->at[0].file_path().empty());
}

TEST_CASE("what parses is formatted to what parses to the same", "[net][address]") {
    const unsigned seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937 random(seed);
    // Pieces, so that a fair share of the texts is nearly right.
    const std::vector<std::string> pieces = {
        "[",
        "]",
        ":",
        ":",
        "::",
        ".",
        "%",
        "@",
        "/",
        "unix:",
        "127.0.0.1",
        "localhost",
        "::1",
        "fe80::1",
        "::ffff:1.2.3.4",
        "0",
        "1",
        "80",
        "65535",
        "65536",
        "abcd",
        "1",
        std::string(1, '\0'),
    };
    int parsed = 0;
    for (int i = 0; i < 200'000; ++i) {
        std::string text;
        for (unsigned n = random() % 7; n > 0; --n) text += pieces[random() % pieces.size()];
        for (const purpose why : {purpose::listen, purpose::dial}) {
            const auto found = parse_address(text, why);
            if (!found) continue;
            ++parsed;
            for (const endpoint& e : *found) {
                const std::string shown = e.to_string();
                const auto again = parse_address(shown, why);
                if (!again || again->count != 1 || !same_bytes(again->at[0], e))
                    FAIL("'" << text << "' was formatted as '" << shown << "'");
            }
        }
    }
    CHECK(parsed > 1000);
}
