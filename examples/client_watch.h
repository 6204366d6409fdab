// SPDX-License-Identifier: MIT
// Notices that a client goes away while its request is being answered, and cancels what is done for
// it.
#pragma once

#include <pirn/context.h>
#include <pirn/net.h>
#include <pirn/sync.h>

#include <cstddef>
#include <optional>
#include <span>
#include <utility>

namespace examples {

// A goroutine that reads the connection: nothing else tells that the client has gone. What it reads
// instead is of the client's next requests and is kept for them. When the space for that is full it
// has to end, and notices nothing more.
//
// While it watches, nobody else may read the connection.
class client_watch {
  public:
    // ctx is the request's; cancel ends it, and is called when the client has gone.
    client_watch(pirn::conn& connection, std::span<std::byte> space, pirn::context ctx,
                 pirn::cancel_func cancel)
        : connection_(connection), space_(space), ctx_(std::move(ctx)),
          cancel_(std::move(cancel)) {
        watcher_.go([this] { watch(); });
    }
    client_watch(const client_watch&) = delete;
    client_watch& operator=(const client_watch&) = delete;
    ~client_watch() { end(); }

    // Ends the request and the watch, blocking for a moment. Returns how many bytes came into the
    // space; nothing if the client has gone.
    std::optional<std::size_t> end() {
        // Bytes are not lost: a read has either taken them, and returns them, or they are still the
        // connection's.
        cancel_();
        watcher_.wait();
        return gone_ ? std::nullopt : std::optional(arrived_);
    }

  private:
    void watch() {
        while (arrived_ < space_.size()) {
            const auto got = connection_.read(space_.subspan(arrived_), ctx_);
            if (got && *got > 0) {
                arrived_ += *got;
                continue;
            }
            const bool called_back = !got && got.error() == ctx_.err();
            if (!called_back) {
                gone_ = true;
                cancel_();
            }
            return;
        }
    }

    pirn::conn& connection_;
    const std::span<std::byte> space_;
    const pirn::context ctx_;
    const pirn::cancel_func cancel_;
    pirn::wait_group watcher_;
    // The watcher's until it has ended.
    std::size_t arrived_ = 0;
    bool gone_ = false;
};

}  // namespace examples
