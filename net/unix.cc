// SPDX-License-Identifier: MIT
// What is particular to unix sockets.
#include "net/unix.h"

#include <unistd.h>

namespace pirn::net {

void socket_file::remove_once() noexcept {
    if (path_.empty()) return;
    // Relaxed: the exchange alone decides who removes it, and nothing else is published by it.
    if (!removed_.exchange(true, std::memory_order_relaxed)) ::unlink(path_.c_str());
}

}  // namespace pirn::net
