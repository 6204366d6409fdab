// SPDX-License-Identifier: MIT
// Coroutines' records on a channel's queues. One differs from a parked caller's in two ways: its
// lock is released by the coroutine itself, which has left its frame before (await_suspend), and
// the end of a run does not drop it.
#include <pirn/coro.h>

#include <memory>
#include <new>
#include <type_traits>

#include <pirn/runtime.h>

#include "chan/hchan.h"
#include "runtime/park.h"
#include "runtime/waiter.h"

namespace pirn::detail {
namespace {

struct awaiting : rt::waiter, rt::coroutine {
    await_record* record = nullptr;
    bool sends = false;
};
static_assert(sizeof(awaiting) <= sizeof(await_record::waiting) &&
              alignof(awaiting) <= alignof(void*) && std::is_trivially_destructible_v<awaiting>);

awaiting* awaiting_of(const await_record& r) noexcept {
    return std::launder(reinterpret_cast<awaiting*>(const_cast<std::byte*>(r.waiting)));
}

rt::waiter& begin(await_record& r, void* value, bool sends) noexcept {
    auto* w = ::new (static_cast<void*>(r.waiting)) awaiting;
    w->record = &r;
    w->sends = sends;
    w->elem = value;
    w->owner = rt::who(static_cast<rt::coroutine*>(w));
    w->post = [](rt::coroutine* c) noexcept {
        await_record* record = static_cast<awaiting*>(c)->record;
        record->post(record);
    };
    return *w;
}

}  // namespace

recv_status await_send(hchan* c, void* value, await_record& r) {
    return send_or_enqueue(c, begin(r, value, true));
}

recv_status await_recv(hchan* c, void* storage, await_record& r) {
    return recv_or_enqueue(c, begin(r, storage, false));
}

bool await_succeeded(const await_record& r) noexcept { return awaiting_of(r)->success; }

bool await_abandon(hchan* c, await_record& r) noexcept {
    if (c == nullptr) return false;
    awaiting* w = awaiting_of(r);
    const rt::lock_guard hold(c->mu);
    return !unlink(c, w->sends ? c->sendq : c->recvq, w) && w->success;
}

void await_found_closed() { throw panic("send on closed channel"); }

}  // namespace pirn::detail
