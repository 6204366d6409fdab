// SPDX-License-Identifier: MIT
// The poller's contract. A backend (netpoll_epoll.cc) defines poll_open, poll_close, poll_net and
// poll_break, and tells io.cc of events by descriptor_event; nothing else knows the system call.
#pragma once

#include <cstdint>

#include "runtime/base/list.h"
#include "runtime/g.h"

namespace pirn::io::detail {
struct descriptor;
}

namespace pirn::rt {

struct sched;

// Registers a native descriptor for both directions, edge-triggered. `tag` comes back with each
// event, so that one of a descriptor since closed is known as stale. 0 or an errno value.
int poll_open(int native, io::detail::descriptor* d, std::uint16_t tag);
// Ends its events; one that another thread has fetched already may still come.
void poll_close(int native);

// Waits for events until the deadline (0: looks once; k_never_ns: for ever) or poll_break, and
// appends the goroutines they make runnable to `found`. One M at a time waits; any may look.
void poll_net(sched* s, std::int64_t until_ns, base::fifo<qnode>& found);
// Makes the M that waits return soon.
void poll_break();

// Goroutines parked for an event.
std::uint32_t io_waiters();

// io.cc, called by the backend.
struct poll_event {
    bool readable, writable;
    bool hangup;  // or urgent data: what is told once, and may lie behind a short read
};
void descriptor_event(io::detail::descriptor* d, std::uint16_t tag, poll_event e,
                      base::fifo<qnode>& found);

}  // namespace pirn::rt
