// SPDX-License-Identifier: MIT
// How values of one type go through the untyped channel: a thin template over its functions.
// Included by <pirn/chan.h>; users name nothing of it but recv_status.
//
// The core moves a value under the channel's lock from the stack or slot where it is to the stack
// or slot where it goes. That is right only for moves that cannot throw and are short. All other
// types are boxed: the value is moved into memory of its own before the operation begins, the core
// moves the box's address, and the receiver moves the value out when the operation is over:
//   - A move into the box that throws leaves send before the channel was touched.
//   - A move out of it that throws gives the box back to the channel, where it is first in line.
//   - try_send must leave its argument alone when it fails. It sends an empty box, and fills it
//     once the channel has taken it; a receiver that is faster waits for that one move. Should the
//     move throw, the box is marked void, and its receiver goes on to the next value.
#pragma once

#include <cstddef>
#include <expected>
#include <memory>
#include <new>
#include <optional>
#include <system_error>
#include <type_traits>
#include <utility>

#include <pirn/cancellation.h>

namespace pirn {

// What try_recv found: a value; nothing yet; the end, for good.
enum class recv_status { ok, empty, closed };

namespace detail {

// What waits that can be cancelled return.
template <class R>
using until_done = std::expected<R, std::error_code>;

struct hchan;

// What the core knows about a type.
struct elem_ops {
    std::size_t size = 0;   // bytes; 0: there is nothing to move
    std::size_t align = 1;
    // Constructs at `to` from `from`, under the channel's lock. nullptr: the bytes are copied.
    void (*move)(void* to, void* from) noexcept = nullptr;
    // nullptr: there is nothing to do.
    void (*destroy)(void* value) noexcept = nullptr;
};

// The core. `value` is moved from only by an operation that succeeds; `storage` is raw memory,
// constructed by one that succeeds. A null channel is nil everywhere.
hchan* hchan_make(const elem_ops& ops, std::size_t capacity);
void hchan_retain(hchan* c) noexcept;
void hchan_release(hchan* c) noexcept;
void hchan_send(hchan* c, void* value);
bool hchan_try_send(hchan* c, void* value);
bool hchan_recv(hchan* c, void* storage);
recv_status hchan_try_recv(hchan* c, void* storage);
// The same for waits that can be cancelled: nothing was done then, and `why` is set. Receiving is
// then `empty`.
bool hchan_send(hchan* c, void* value, const cancellation& until, std::error_code& why);
recv_status hchan_recv(hchan* c, void* storage, const cancellation& until, std::error_code& why);
void hchan_close(hchan* c);
std::size_t hchan_len(const hchan* c) noexcept;
std::size_t hchan_cap(const hchan* c) noexcept;
// Whether try_send would fail at this moment; takes no lock.
bool hchan_send_blocks(const hchan* c) noexcept;

// Boxes: raw memory for one value, with a header in front that the core keeps.
void* box_make(std::size_t size, std::size_t align, bool filled);
void box_free(void* value, std::size_t align) noexcept;
// Says that the value is there, or that it will never be.
void box_settle(void* value, std::size_t align, bool filled) noexcept;
// Blocks until the box is settled. False: it is void.
bool box_wait(void* value, std::size_t align);
// The box is the first to be received again.
void hchan_give_back(hchan* c, void* value, std::size_t align) noexcept;

// Values larger than this are boxed, so that no long copy is made under a lock.
inline constexpr std::size_t k_max_unboxed_bytes = 1024;

template <class T>
inline constexpr bool k_boxed =
    !std::is_nothrow_move_constructible_v<T> || sizeof(T) > k_max_unboxed_bytes ||
    (std::is_move_assignable_v<T> && !std::is_nothrow_move_assignable_v<T>);
template <>
inline constexpr bool k_boxed<void> = false;

// Raw memory for one value on the stack, destroyed with its scope once it was constructed.
template <class T>
union raw_slot {
    char nothing;
    T value;
    raw_slot() noexcept : nothing() {}
    ~raw_slot() {}
};
template <class T>
struct destroy_at_end {
    T& value;
    ~destroy_at_end() { value.~T(); }
};

// Types whose moves cannot throw.
template <class T, bool Boxed = k_boxed<T>>
struct elem {
    static_assert(std::is_nothrow_destructible_v<T>, "pirn::chan: T's destructor may not throw");
    static constexpr bool k_bytes =
        std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>;

    static void move(void* to, void* from) noexcept {
        ::new (to) T(std::move(*static_cast<T*>(from)));
    }
    static void destroy(void* value) noexcept { static_cast<T*>(value)->~T(); }

    static constexpr elem_ops ops{
        .size = k_bytes && std::is_empty_v<T> ? 0 : sizeof(T),
        .align = alignof(T),
        .move = k_bytes ? nullptr : &move,
        .destroy = std::is_trivially_destructible_v<T> ? nullptr : &destroy,
    };

    static void send(hchan* c, T& value) { hchan_send(c, std::addressof(value)); }
    // The copy is made outside the lock, and stands on the sender's own stack while it waits.
    static void send_copy(hchan* c, const T& value) {
        T copy(value);
        hchan_send(c, std::addressof(copy));
    }
    static bool try_send(hchan* c, T& value) { return hchan_try_send(c, std::addressof(value)); }
    static bool try_send_copy(hchan* c, const T& value) {
        // No copy is made where it would be in vain.
        if (hchan_send_blocks(c)) return false;
        T copy(value);
        return hchan_try_send(c, std::addressof(copy));
    }

    static until_done<void> send(hchan* c, T& value, const cancellation& until) {
        std::error_code why;
        if (!hchan_send(c, std::addressof(value), until, why)) return std::unexpected(why);
        return {};
    }
    static until_done<void> send_copy(hchan* c, const T& value, const cancellation& until) {
        T copy(value);
        return send(c, copy, until);
    }
    static until_done<std::optional<T>> recv(hchan* c, const cancellation& until) {
        raw_slot<T> slot;
        std::error_code why;
        const recv_status status = hchan_recv(c, std::addressof(slot.value), until, why);
        if (status == recv_status::empty) return std::unexpected(why);
        if (status == recv_status::closed) return std::optional<T>();
        const destroy_at_end<T> end{slot.value};
        return std::optional<T>(std::move(slot.value));
    }

    static std::optional<T> recv(hchan* c) {
        raw_slot<T> slot;
        if (!hchan_recv(c, std::addressof(slot.value))) return std::nullopt;
        const destroy_at_end<T> end{slot.value};
        return std::optional<T>(std::move(slot.value));
    }
    // Into an empty optional, which stays empty at the end.
    static void recv_into(hchan* c, std::optional<T>& out) {
        raw_slot<T> slot;
        if (!hchan_recv(c, std::addressof(slot.value))) return;
        const destroy_at_end<T> end{slot.value};
        out.emplace(std::move(slot.value));
    }
    static recv_status try_recv(hchan* c, T& out) {
        raw_slot<T> slot;
        const recv_status status = hchan_try_recv(c, std::addressof(slot.value));
        if (status != recv_status::ok) return status;
        const destroy_at_end<T> end{slot.value};
        out = std::move(slot.value);
        return status;
    }
    static recv_status try_recv(hchan* c, std::optional<T>& out) {
        raw_slot<T> slot;
        const recv_status status = hchan_try_recv(c, std::addressof(slot.value));
        if (status != recv_status::ok) return status;
        const destroy_at_end<T> end{slot.value};
        out.emplace(std::move(slot.value));
        return status;
    }
};

// Boxed types: the core's element is the address of the value.
template <class T>
struct elem<T, true> {
    static_assert(std::is_nothrow_destructible_v<T>, "pirn::chan: T's destructor may not throw");

    // What is left in the channel in the end: nobody fills it any more.
    static void destroy(void* element) noexcept {
        void* value = *static_cast<void**>(element);
        if (box_wait(value, alignof(T))) static_cast<T*>(value)->~T();
        box_free(value, alignof(T));
    }

    static constexpr elem_ops ops{
        .size = sizeof(void*), .align = alignof(void*), .move = nullptr, .destroy = &destroy};

    // A box on its way into the channel or out of it.
    struct box {
        void* value;
        bool constructed = false;
        box(void* v, bool has_value) : value(v), constructed(has_value) {}
        box(const box&) = delete;
        box& operator=(const box&) = delete;
        ~box() {
            if (value == nullptr) return;
            if (constructed) object()->~T();
            box_free(value, alignof(T));
        }
        T* object() const { return static_cast<T*>(value); }
        template <class From>
        void fill(From&& from) {
            ::new (value) T(std::forward<From>(from));
            constructed = true;
        }
    };

    static void send(hchan* c, T& value) {
        box b(box_make(sizeof(T), alignof(T), true), false);
        b.fill(std::move(value));
        hchan_send(c, &b.value);
        b.value = nullptr;
    }
    static void send_copy(hchan* c, const T& value) {
        box b(box_make(sizeof(T), alignof(T), true), false);
        b.fill(value);
        hchan_send(c, &b.value);
        b.value = nullptr;
    }
    static bool try_send_copy(hchan* c, const T& value) {
        if (hchan_send_blocks(c)) return false;
        box b(box_make(sizeof(T), alignof(T), true), false);
        b.fill(value);
        if (!hchan_try_send(c, &b.value)) return false;
        b.value = nullptr;
        return true;
    }
    // Sends an empty box by `give`, and moves the value into it if that has taken it.
    template <class Give>
    static bool send_empty(T& value, Give give) {
        box b(box_make(sizeof(T), alignof(T), false), false);
        void* const sent = b.value;
        if (!give(&b.value)) return false;
        b.value = nullptr;
        try {
            ::new (sent) T(std::move(value));
        } catch (...) {
            box_settle(sent, alignof(T), false);
            throw;
        }
        box_settle(sent, alignof(T), true);
        return true;
    }
    static bool try_send(hchan* c, T& value) {
        if (hchan_send_blocks(c)) return false;
        return send_empty(value, [c](void* element) { return hchan_try_send(c, element); });
    }
    static until_done<void> send(hchan* c, T& value, const cancellation& until) {
        std::error_code why;
        const bool sent = send_empty(
            value, [&](void* element) { return hchan_send(c, element, until, why); });
        if (!sent) return std::unexpected(why);
        return {};
    }
    static until_done<void> send_copy(hchan* c, const T& value, const cancellation& until) {
        box b(box_make(sizeof(T), alignof(T), true), false);
        b.fill(value);
        std::error_code why;
        if (!hchan_send(c, &b.value, until, why)) return std::unexpected(why);
        b.value = nullptr;
        return {};
    }
    static until_done<std::optional<T>> recv(hchan* c, const cancellation& until) {
        std::optional<T> out;
        std::error_code why;
        const recv_status status = take_one(
            c, [&](void* storage) { return hchan_recv(c, storage, until, why); },
            [&out](T&& value) { out.emplace(std::move(value)); });
        if (status == recv_status::empty) return std::unexpected(why);
        return out;
    }

    // Receives boxes by `take`, which gives ok for one, until there is one with a value; hands
    // that to `use`. Holds a reference: the handle may be gone when the value comes back.
    template <class Take, class Use>
    static recv_status take_one(hchan* c, Take take, Use use) {
        struct reference {
            hchan* c;
            explicit reference(hchan* counted) : c(counted) { hchan_retain(c); }
            ~reference() { hchan_release(c); }
        } hold(c);
        for (;;) {
            void* value = nullptr;
            const recv_status status = take(&value);
            if (status != recv_status::ok) return status;
            const bool filled = box_wait(value, alignof(T));
            box b(value, filled);
            if (!filled) continue;
            try {
                use(std::move(*b.object()));
            } catch (...) {
                b.value = nullptr;
                hchan_give_back(c, value, alignof(T));
                throw;
            }
            return status;
        }
    }
    static std::optional<T> recv(hchan* c) {
        std::optional<T> out;
        recv_into(c, out);
        return out;
    }
    static void recv_into(hchan* c, std::optional<T>& out) {
        take_one(
            c,
            [c](void* storage) {
                return hchan_recv(c, storage) ? recv_status::ok : recv_status::closed;
            },
            [&out](T&& value) { out.emplace(std::move(value)); });
    }
    static recv_status try_recv(hchan* c, T& out) {
        return take_one(
            c, [c](void* storage) { return hchan_try_recv(c, storage); },
            [&out](T&& value) { out = std::move(value); });
    }
    static recv_status try_recv(hchan* c, std::optional<T>& out) {
        return take_one(
            c, [c](void* storage) { return hchan_try_recv(c, storage); },
            [&out](T&& value) {
                if constexpr (std::is_move_assignable_v<T>)
                    out = std::move(value);
                else
                    out.emplace(std::move(value));
            });
    }
};

template <>
struct elem<void, false> {
    static constexpr elem_ops ops{};

    static void send(hchan* c) {
        char nothing = 0;
        hchan_send(c, &nothing);
    }
    static bool try_send(hchan* c) {
        char nothing = 0;
        return hchan_try_send(c, &nothing);
    }
    static until_done<void> send(hchan* c, const cancellation& until) {
        char nothing = 0;
        std::error_code why;
        if (!hchan_send(c, &nothing, until, why)) return std::unexpected(why);
        return {};
    }
    static bool recv(hchan* c) {
        char nothing = 0;
        return hchan_recv(c, &nothing);
    }
    static until_done<bool> recv(hchan* c, const cancellation& until) {
        char nothing = 0;
        std::error_code why;
        const recv_status status = hchan_recv(c, &nothing, until, why);
        if (status == recv_status::empty) return std::unexpected(why);
        return status == recv_status::ok;
    }
    static recv_status try_recv(hchan* c) {
        char nothing = 0;
        return hchan_try_recv(c, &nothing);
    }
};

}  // namespace detail
}  // namespace pirn
