// SPDX-License-Identifier: MIT
// Notices that a client goes away while its request is being answered, and cancels what is done for
// it.
#pragma once

#include <pirn/context.h>
#include <pirn/net.h>
#include <pirn/sync.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <system_error>
#include <utility>

namespace examples {

// A goroutine that reads the connection: nothing else tells that the client has gone. What it reads
// instead is of the client's next requests and is kept for them. When the space for that is full it
// has to end, and notices nothing more.
//
// While it watches, nobody else may read the connection.
class client_watch {
  public:
    // cancel is called when the client has gone.
    client_watch(pirn::conn& connection, std::span<std::byte> space, pirn::cancel_func cancel)
        : connection_(connection), space_(space), cancel_(std::move(cancel)) {
        watcher_.go([this] { watch(); });
    }
    client_watch(const client_watch&) = delete;
    client_watch& operator=(const client_watch&) = delete;
    ~client_watch() { end(); }

    // Ends the watch, blocking for a moment. Returns how many bytes came into the space; nothing if
    // the client has gone.
    std::optional<std::size_t> end() {
        // A deadline in the past is how a read is called back. Bytes that it has are not lost: it
        // has either taken them, and returns them, or they are still the connection's.
        ending_.store(true, std::memory_order_relaxed);
        connection_.set_read_deadline(pirn::clock::time_point(std::chrono::nanoseconds(1)));
        watcher_.wait();
        connection_.set_read_deadline({});
        return gone_ ? std::nullopt : std::optional(arrived_);
    }

  private:
    void watch() {
        while (arrived_ < space_.size()) {
            const auto got = connection_.read(space_.subspan(arrived_));
            if (got && *got > 0) {
                arrived_ += *got;
                continue;
            }
            // A connection may time out by itself, too. Relaxed: it was set before the deadline.
            const bool called_back = !got && got.error() == std::errc::timed_out &&
                                     ending_.load(std::memory_order_relaxed);
            if (!called_back) {
                gone_ = true;
                cancel_();
            }
            return;
        }
    }

    pirn::conn& connection_;
    const std::span<std::byte> space_;
    const pirn::cancel_func cancel_;
    std::atomic<bool> ending_{false};
    pirn::wait_group watcher_;
    // The watcher's until it has ended.
    std::size_t arrived_ = 0;
    bool gone_ = false;
};

}  // namespace examples
