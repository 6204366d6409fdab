// SPDX-License-Identifier: MIT
// What is particular to TCP sockets.
#include "net/tcp.h"

#include <netinet/tcp.h>

#include <cstring>

namespace pirn::net {

namespace {

// Go's period: a peer that vanished is noticed after some minutes instead of never.
constexpr int k_keep_alive_seconds = 15;

// None of these can fail on a fresh TCP socket, and the connection would work without them.
void set_option(int native, int level, int name, int value) noexcept {
    (void)::setsockopt(native, level, name, &value, sizeof value);
}

}  // namespace

void set_tcp_defaults(int native) noexcept {
    set_option(native, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(native, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(native, IPPROTO_TCP, TCP_KEEPIDLE, k_keep_alive_seconds);
    set_option(native, IPPROTO_TCP, TCP_KEEPINTVL, k_keep_alive_seconds);
}

void set_dual_stack(int native) noexcept {
    set_option(native, IPPROTO_IPV6, IPV6_V6ONLY, 0);
}

bool is_self_connected(int native) noexcept {
    endpoint here;
    endpoint there;
    if (::getsockname(native, here.out(), here.out_size()) != 0 ||
        ::getpeername(native, there.out(), there.out_size()) != 0)
        return false;
    return here.size() == there.size() && std::memcmp(here.data(), there.data(), here.size()) == 0;
}

}  // namespace pirn::net
