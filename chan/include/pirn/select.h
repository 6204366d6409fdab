// SPDX-License-Identifier: MIT
// select: waits for several channel operations at once and does one of them.
//
//     pirn::select(pirn::on_recv(jobs, [&](std::optional<job> j) { ... }),
//                  pirn::on_send(results, std::move(r)),
//                  pirn::on_recv(quit, [&](bool) { stop = true; }));
//
// Of the cases that can go on, one is chosen at random, each with the same chance; where none can,
// the caller blocks until one can, or, with otherwise() among them, goes on at once. The others
// leave no trace. select returns the chosen one's place, from 0. A case whose channel is nil never
// can go on; one that finds its channel closed can: a receive gets nothing, a send that is chosen
// throws panic "send on closed channel".
//
// Handlers run on the caller, when all is over: they may block, use the same channels, and throw.
// From goroutines and from any thread, which then blocks itself.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>

#include <pirn/select_case.h>

namespace pirn {

// Receives; the value is dropped.
template <class Ch, class T = detail::received_t<Ch>>
[[nodiscard]] auto on_recv(const Ch& ch) {
    return detail::recv_case<T, detail::no_handler>(detail::chan_access::of(ch), {});
}

// Receives and calls handler(std::optional<T>), which is empty when the channel is closed and
// drained; for a chan<void> handler(bool).
template <class Ch, class F, class T = detail::received_t<Ch>>
    requires detail::handles<F, T>::value
[[nodiscard]] auto on_recv(const Ch& ch, F&& handler) {
    return detail::recv_case<T, F>(detail::chan_access::of(ch), std::forward<F>(handler));
}

// Receives into `out`, which is reset when the channel is closed and drained. Should T's move
// constructor throw, `out` is empty and the value is back in the channel, first in line.
template <class Ch, class T = detail::received_object_t<Ch>>
[[nodiscard]] auto on_recv(const Ch& ch, std::optional<T>& out) {
    return detail::recv_case<T, std::optional<T>&>(detail::chan_access::of(ch), out);
}

// Sends a copy, which is made now, whether the case is chosen or not.
template <class Ch, class F = detail::no_handler, class T = detail::sent_t<Ch>>
    requires std::copy_constructible<T> && std::invocable<F&>
[[nodiscard]] auto on_send(const Ch& ch, const std::type_identity_t<T>& value, F&& handler = {}) {
    return detail::send_case<T, T, F>(detail::chan_access::of(ch), std::forward<F>(handler), value);
}

// Sends a value, which is moved from only if this case is chosen.
template <class Ch, class F = detail::no_handler, class T = detail::sent_t<Ch>>
    requires std::is_object_v<T> && std::invocable<F&>
[[nodiscard]] auto on_send(const Ch& ch, std::type_identity_t<T>&& value, F&& handler = {}) {
    return detail::send_case<T, T&, F>(detail::chan_access::of(ch), std::forward<F>(handler),
                                       value);
}

// For a chan<void>.
template <class Ch, class F = detail::no_handler>
    requires std::is_void_v<detail::sent_t<Ch>> && std::invocable<F&>
[[nodiscard]] auto on_send(const Ch& ch, F&& handler = {}) {
    return detail::send_case<void, void, F>(detail::chan_access::of(ch), std::forward<F>(handler));
}

// Runs where no other case can go on at once; at most one in a select. Counts as a case.
template <std::invocable F = detail::no_handler>
[[nodiscard]] auto otherwise(F&& handler = {}) {
    return detail::otherwise_case<F>(std::forward<F>(handler));
}

// Blocks for ever.
[[noreturn]] inline int select() { detail::select_no_cases(); }

// May block. The cases are made where they are passed: what on_recv and on_send are given must
// live until select returns, and no longer. Allocates nothing but for values that travel in a box
// (see chan).
template <detail::select_clause... Cases>
    requires(sizeof...(Cases) > 0)
int select(Cases&&... cases) {
    constexpr int k_count = sizeof...(Cases);
    constexpr bool k_is_otherwise[] = {Cases::k_otherwise...};
    static_assert(std::ranges::count(k_is_otherwise, true) <= 1, "pirn::select: two otherwise()");
    constexpr auto k_found = std::ranges::find(k_is_otherwise, true) - k_is_otherwise;
    constexpr int k_otherwise = k_found == k_count ? -1 : static_cast<int>(k_found);

    detail::select_entry entries[k_count];
    alignas(typename Cases::in_slot...)
        std::byte slot[std::max({sizeof(typename Cases::in_slot)...})];
    int index = 0;
    (cases.enter(entries[index++], slot), ...);
    for (;;) {
        const bool ok = detail::select_among(entries, k_count, k_otherwise, index);
        bool done = false;
        int i = 0;
        static_cast<void>(((i++ == index && (done = cases.finish(slot, ok), true)) || ...));
        if (done) [[likely]]
            return index;
    }
}

// A case that is a value: for selects over as many channels as there are at run time. Has a
// handle of its channel, the handler, and the value that it sends (what on_recv's `out` refers to
// stays the caller's). Once chosen it is spent: it has let go of all of that, and can never go on.
class select_case {
  public:
    // Never can go on.
    select_case() noexcept = default;
    template <detail::select_clause Case>
    select_case(Case&& c)
        : impl_(std::make_unique<detail::owned_case<typename Case::owned>>(std::move(c))) {}

    // False for one that is spent.
    explicit operator bool() const noexcept { return impl_ != nullptr; }

  private:
    std::unique_ptr<detail::erased_case> impl_;
    friend int select(std::span<select_case> cases);
};

// May block. Without any case: blocks for ever. Throws panic "select: multiple default cases", and
// std::bad_alloc.
int select(std::span<select_case> cases);

}  // namespace pirn
