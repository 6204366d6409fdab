// SPDX-License-Identifier: MIT
// Socket addresses: parsing and formatting.
#include "net/address.h"

#include <arpa/inet.h>
#include <net/if.h>

#include <charconv>
#include <cstring>
#include <optional>

namespace pirn::net {

namespace {

class address_error_category final : public std::error_category {
  public:
    const char* name() const noexcept override { return "pirn.address"; }
    std::string message(int code) const override {
        switch (static_cast<address_errc>(code)) {
            case address_errc::missing_port:
                return "missing port in address";
            case address_errc::too_many_colons:
                return "too many colons in address (an IPv6 host goes in brackets)";
            case address_errc::bad_brackets:
                return "misplaced brackets in address";
            case address_errc::bad_port:
                return "invalid port in address (0 to 65535)";
            case address_errc::bad_host:
                return "the host in the address is neither numeric nor localhost";
            case address_errc::bad_zone:
                return "no such network interface in address";
            case address_errc::bad_path:
                return "the path in the unix address is empty, too long or has a NUL byte";
        }
        return "unknown address error";
    }
    std::error_condition default_error_condition(int) const noexcept override {
        return std::errc::invalid_argument;
    }
};

struct host_port {
    std::string_view host;
    std::string_view port;
};

// Go's SplitHostPort: the last colon parts them, and a host with colons stands in brackets.
std::expected<host_port, address_errc> split_host_port(std::string_view text) {
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos) return std::unexpected(address_errc::missing_port);
    host_port parts{text.substr(0, colon), text.substr(colon + 1)};
    if (parts.host.starts_with('[')) {
        const auto close = text.find(']');
        if (close == std::string_view::npos) return std::unexpected(address_errc::bad_brackets);
        if (close + 1 == text.size() || (close > colon && text[close + 1] != ':'))
            return std::unexpected(address_errc::missing_port);
        if (close + 1 != colon) {
            return std::unexpected(text[close + 1] == ':' ? address_errc::too_many_colons
                                                          : address_errc::bad_brackets);
        }
        parts.host = text.substr(1, close - 1);
    } else if (parts.host.find(':') != std::string_view::npos) {
        return std::unexpected(address_errc::too_many_colons);
    }
    if (parts.host.find_first_of("[]") != std::string_view::npos ||
        parts.port.find_first_of("[]") != std::string_view::npos)
        return std::unexpected(address_errc::bad_brackets);
    return parts;
}

template <class Number>
std::optional<Number> parse_decimal(std::string_view digits) {
    Number value = 0;
    const char* end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, value);
    if (digits.empty() || error != std::errc{} || stop != end) return std::nullopt;
    return value;
}

// A terminated copy for the C library. Nothing when it does not fit or has a NUL byte, behind which
// the C library would not look.
template <std::size_t Size>
bool copy_terminated(std::string_view text, char (&buffer)[Size]) {
    if (text.size() >= Size || text.find('\0') != std::string_view::npos) return false;
    std::memcpy(buffer, text.data(), text.size());
    buffer[text.size()] = '\0';
    return true;
}

bool is_localhost(std::string_view host) {
    if (host.ends_with('.')) host.remove_suffix(1);
    constexpr std::string_view k_name = "localhost";
    if (host.size() != k_name.size()) return false;
    for (std::size_t i = 0; i < host.size(); ++i) {
        const char c = host[i];
        if ((c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c) != k_name[i]) return false;
    }
    return true;
}

in_addr mapped_ipv4(const in6_addr& host) {
    in_addr v4;
    std::memcpy(&v4, host.s6_addr + 12, sizeof v4);
    return v4;
}

std::expected<endpoint, address_errc> parse_numeric_host(std::string_view host,
                                                         std::uint16_t port) {
    const auto percent = host.find('%');
    char text[INET6_ADDRSTRLEN];
    if (!copy_terminated(host.substr(0, percent), text))
        return std::unexpected(address_errc::bad_host);
    if (in_addr v4; percent == std::string_view::npos && inet_pton(AF_INET, text, &v4) == 1)
        return endpoint::ipv4(v4, port);
    in6_addr v6;
    if (inet_pton(AF_INET6, text, &v6) != 1) return std::unexpected(address_errc::bad_host);
    std::uint32_t scope = 0;
    if (percent != std::string_view::npos) {
        const std::string_view zone = host.substr(percent + 1);
        char name[IF_NAMESIZE];
        if (const auto number = parse_decimal<std::uint32_t>(zone))
            scope = *number;
        else if (copy_terminated(zone, name))
            scope = if_nametoindex(name);
        if (scope == 0) return std::unexpected(address_errc::bad_zone);
    }
    if (IN6_IS_ADDR_V4MAPPED(&v6)) {
        if (scope != 0) return std::unexpected(address_errc::bad_zone);  // IPv4 has none
        return endpoint::ipv4(mapped_ipv4(v6), port);
    }
    return endpoint::ipv6(v6, port, scope);
}

std::expected<endpoints, address_errc> parse_unix(std::string_view path) {
    constexpr std::size_t k_room = sizeof(sockaddr_un::sun_path);
    if (path.empty() || path == "@" || path.size() >= k_room ||
        path.find('\0') != std::string_view::npos)
        return std::unexpected(address_errc::bad_path);
    endpoints found;
    found.add(endpoint::local(path));
    return found;
}

std::expected<endpoints, address_errc> parse_internet(std::string_view text, purpose why) {
    const auto parts = split_host_port(text);
    if (!parts) return std::unexpected(parts.error());
    const auto port =
        parts->port.empty() ? std::uint16_t{0} : parse_decimal<std::uint16_t>(parts->port);
    if (!port) return std::unexpected(address_errc::bad_port);
    endpoints found;
    if (parts->host.empty() && why == purpose::listen) {
        found.add(endpoint::ipv6(in6addr_any, *port));
        found.add(endpoint::ipv4({htonl(INADDR_ANY)}, *port));
    } else if (parts->host.empty() || is_localhost(parts->host)) {
        found.add(endpoint::ipv4({htonl(INADDR_LOOPBACK)}, *port));
        found.add(endpoint::ipv6(in6addr_loopback, *port));
    } else {
        const auto numeric = parse_numeric_host(parts->host, *port);
        if (!numeric) return std::unexpected(numeric.error());
        found.add(*numeric);
    }
    return found;
}

std::string ipv4_text(in_addr host, in_port_t port) {
    char text[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &host, text, sizeof text);
    return std::string(text) + ':' + std::to_string(ntohs(port));
}

std::string ipv6_text(const sockaddr_in6& address) {
    char text[INET6_ADDRSTRLEN];
    inet_ntop(AF_INET6, &address.sin6_addr, text, sizeof text);
    std::string all = "[";
    all += text;
    if (address.sin6_scope_id != 0) {
        char name[IF_NAMESIZE];
        all += '%';
        if (if_indextoname(address.sin6_scope_id, name) != nullptr)
            all += name;
        else
            all += std::to_string(address.sin6_scope_id);
    }
    return all + "]:" + std::to_string(ntohs(address.sin6_port));
}

}  // namespace

const std::error_category& address_category() noexcept {
    static const address_error_category category;
    return category;
}

endpoint endpoint::ipv4(in_addr host, std::uint16_t port) noexcept {
    endpoint e;
    e.u_.v4.sin_family = AF_INET;
    e.u_.v4.sin_port = htons(port);
    e.u_.v4.sin_addr = host;
    e.size_ = sizeof e.u_.v4;
    return e;
}

endpoint endpoint::ipv6(const in6_addr& host, std::uint16_t port, std::uint32_t scope) noexcept {
    endpoint e;
    e.u_.v6.sin6_family = AF_INET6;
    e.u_.v6.sin6_port = htons(port);
    e.u_.v6.sin6_addr = host;
    e.u_.v6.sin6_scope_id = scope;
    e.size_ = sizeof e.u_.v6;
    return e;
}

endpoint endpoint::local(std::string_view path) noexcept {
    endpoint e;
    e.u_.un.sun_family = AF_UNIX;
    std::memcpy(e.u_.un.sun_path, path.data(), path.size());
    // An abstract name begins with a NUL byte and ends with its size; a path ends with a NUL byte.
    const bool abstract = path.front() == '@';
    if (abstract) e.u_.un.sun_path[0] = '\0';
    e.size_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + !abstract);
    return e;
}

bool endpoint::is_ipv6_wildcard() const noexcept {
    return family() == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&u_.v6.sin6_addr);
}

std::string_view endpoint::file_path() const noexcept {
    constexpr std::size_t k_header = offsetof(sockaddr_un, sun_path);
    if (family() != AF_UNIX || size_ <= k_header || u_.un.sun_path[0] == '\0') return {};
    // The kernel may count the terminating NUL or not.
    return {u_.un.sun_path, ::strnlen(u_.un.sun_path, size_ - k_header)};
}

std::string endpoint::to_string() const {
    constexpr std::size_t k_header = offsetof(sockaddr_un, sun_path);
    switch (family()) {
        case AF_INET:
            return ipv4_text(u_.v4.sin_addr, u_.v4.sin_port);
        case AF_INET6:
            if (IN6_IS_ADDR_V4MAPPED(&u_.v6.sin6_addr))
                return ipv4_text(mapped_ipv4(u_.v6.sin6_addr), u_.v6.sin6_port);
            return ipv6_text(u_.v6);
        case AF_UNIX: {
            const bool abstract = size_ > k_header && u_.un.sun_path[0] == '\0';
            if (!abstract) return "unix:" + std::string(file_path());
            return "unix:@" + std::string(u_.un.sun_path + 1, size_ - k_header - 1);
        }
        default:
            return {};
    }
}

std::expected<endpoints, std::error_code> parse_address(std::string_view text, purpose why) {
    constexpr std::string_view k_unix = "unix:";
    const auto found = text.starts_with(k_unix) ? parse_unix(text.substr(k_unix.size()))
                                                : parse_internet(text, why);
    if (!found) return std::unexpected(make_error_code(found.error()));
    return *found;
}

}  // namespace pirn::net
