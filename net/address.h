// SPDX-License-Identifier: MIT
// Socket addresses: from the text that users write to the bytes that the kernel takes, and back.
//
//     "127.0.0.1:80"  "[::1]:80"  "[fe80::1%eth0]:80"   one numeric host; a zone by name or number
//     ":80"                         every local address to listen on; the loopback to dial
//     "localhost:80"                the loopback, IPv4 before IPv6 (RFC 6761: nobody is asked)
//     "unix:/path"  "unix:@name"    a socket file; a name in Linux's abstract space
//
// An empty port is 0, as in Go: the kernel chooses one.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <system_error>

namespace pirn::net {

// What is wrong with an address. Each compares equal to std::errc::invalid_argument.
enum class address_errc {
    missing_port = 1,
    too_many_colons,
    bad_brackets,
    bad_port,
    bad_host,
    bad_zone,
    bad_path,
};
const std::error_category& address_category() noexcept;
inline std::error_code make_error_code(address_errc e) noexcept {
    return {static_cast<int>(e), address_category()};
}

// A socket address of one of the families spoken here, as the kernel has it.
class endpoint {
  public:
    endpoint() noexcept : u_{}, size_(sizeof u_) {}
    static endpoint ipv4(in_addr host, std::uint16_t port) noexcept;
    static endpoint ipv6(const in6_addr& host, std::uint16_t port,
                         std::uint32_t scope = 0) noexcept;
    // A path, or "@name"; not empty, shorter than sockaddr_un has room for, without NUL bytes.
    static endpoint local(std::string_view path) noexcept;

    int family() const noexcept { return u_.any.sa_family; }
    const sockaddr* data() const noexcept { return &u_.any; }
    socklen_t size() const noexcept { return size_; }
    // For calls that fill an address in: the room starts at the whole of it, and they store the
    // size of what they wrote.
    sockaddr* out() noexcept { return &u_.any; }
    socklen_t* out_size() noexcept {
        size_ = sizeof u_;
        return &size_;
    }

    // True for the address that stands for every IPv6 address, to which IPv4 can be mapped.
    bool is_ipv6_wildcard() const noexcept;
    // The path of the socket file; empty for abstract and unnamed sockets and other families.
    std::string_view file_path() const noexcept;
    // The text that dial takes; an IPv4 address mapped into IPv6 shows as IPv4.
    std::string to_string() const;

  private:
    union {
        sockaddr_un un;  // the largest first: all of it is zeroed
        sockaddr any;
        sockaddr_in v4;
        sockaddr_in6 v6;
    } u_;
    socklen_t size_;  // of what is valid in it
};

// The addresses to try, in this order: a host that stands for both loopbacks has two.
struct endpoints {
    std::array<endpoint, 2> at;
    std::size_t count = 0;

    const endpoint* begin() const noexcept { return at.data(); }
    const endpoint* end() const noexcept { return at.data() + count; }
    void add(const endpoint& e) noexcept { at[count++] = e; }
};

enum class purpose { listen, dial };

// Does not block: nothing but numeric hosts and localhost is understood.
std::expected<endpoints, std::error_code> parse_address(std::string_view text, purpose why);

}  // namespace pirn::net

template <>
struct std::is_error_code_enum<pirn::net::address_errc> : std::true_type {};
