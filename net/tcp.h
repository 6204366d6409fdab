// SPDX-License-Identifier: MIT
// What is particular to TCP sockets: their options, and the one that connected to itself.
#pragma once

#include "net/address.h"

namespace pirn::net {

// TCP_NODELAY and keep-alive, as Go sets them on every connection. Linux hands them down from a
// listening socket to those that it accepts, so that a listener sets them once for all.
void set_tcp_defaults(int native) noexcept;

// Makes the IPv6 wildcard stand for IPv4 too, whatever the system's default. Before bind.
void set_dual_stack(int native) noexcept;

// Whether both ends are this one socket: dialing a free port on this machine, the kernel may choose
// the same port for our end, and the two SYNs cross (a simultaneous open, as TCP allows it).
bool is_self_connected(int native) noexcept;

}  // namespace pirn::net
