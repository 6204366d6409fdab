// SPDX-License-Identifier: MIT
// The wait record (Go's sudog): one caller waiting on one object. It lives on the frame of the
// blocking function, on the object's queue, and is touched under the object's lock only.
#pragma once

#include <cstdint>

#include "runtime/base/list.h"
#include "runtime/park.h"

namespace pirn::rt {

struct waiter_tag;

struct waiter : base::list_node<waiter_tag> {
    who owner;                // whom to ready
    void* elem = nullptr;     // a channel operation's value: read from or written to in place
    // What it waits on: the hchan, the key of sema. Written under its lock; drop looks without.
    base::relaxed_ptr<void> object;
    bool success = false;     // set by the waker: woken by a value, not by close
    bool is_select = false;   // one of several of a select: `fired` decides who wins
    std::uint32_t index = 0;  // the select's case
    // The select's decision word, shared by its records: the waker that takes it from 0 to 1 wins.
    base::atomic<std::uint32_t>* fired = nullptr;
    waiter* next_case = nullptr;  // the select's next record, in lock order
    // The run ends and this goroutine never goes on: take the record off its queue and give back
    // what the operation holds. False: a waker has taken the record already and will ready() it.
    bool (*drop)(waiter*) noexcept = nullptr;
};

using waiter_queue = base::list<waiter, waiter_tag>;

}  // namespace pirn::rt
