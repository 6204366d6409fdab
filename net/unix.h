// SPDX-License-Identifier: MIT
// What is particular to unix sockets: the file that a listening one leaves in the file system.
#pragma once

#include <string>
#include <string_view>

#include "runtime/base/atomic.h"

namespace pirn::net {

// The file of a listening unix socket, removed once: the second close of a listener must not take
// away the file that another process has bound there since.
class socket_file {
  public:
    // An empty path: there is none.
    explicit socket_file(std::string_view path) : path_(path) {}
    // From any goroutine. To be called before the socket is closed, as Go does: from then on
    // somebody else may bind the path.
    void remove_once() noexcept;

  private:
    std::string path_;
    base::atomic<bool> removed_{false};
};

}  // namespace pirn::net
