// SPDX-License-Identifier: MIT
// pool: objects to be used again, instead of made (Go's sync.Pool).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include <pirn/word.h>

namespace pirn {

namespace detail {

// Memory for one value, which follows; on one list at a time.
struct pool_node {
    pool_node* next = nullptr;
};

// Types of which a value may be moved by copying its bytes and forgetting where they were.
template <class T>
inline constexpr bool k_moves_as_bytes = std::is_trivially_copyable_v<T>;
template <class T>
inline constexpr bool k_moves_as_bytes<std::unique_ptr<T>> = true;
template <class T>
inline constexpr bool k_moves_as_bytes<std::shared_ptr<T>> = true;

struct pool_list;

// The untyped part: where nodes are, with a value (full) and without.
class pool_core {
  public:
    // `destroy` is for the values of full nodes that nobody wants. The value lies `value_at` bytes
    // from a node's beginning.
    constexpr pool_core(std::size_t node_bytes, std::size_t align, std::size_t value_at,
                        std::size_t value_bytes, void (*destroy)(pool_node*) noexcept) noexcept
        : node_bytes_(node_bytes),
          align_(align),
          value_at_(value_at),
          value_bytes_(value_bytes),
          destroy_(destroy) {}
    ~pool_core();
    pool_core(const pool_core&) = delete;
    pool_core& operator=(const pool_core&) = delete;

    // A full node; null: there is none.
    pool_node* take();
    // Takes over a full node.
    void give(pool_node* full) noexcept;
    // An empty node.
    pool_node* take_empty();
    void give_empty(pool_node* empty) noexcept;

    // Both in one, for values that move as bytes. False: there is none.
    bool take_bytes(void* value);
    void give_bytes(const void* value);

    struct shard;

  private:
    // Doubling in size: room for the shards of 2047 callers.
    static constexpr int k_blocks = 11;

    shard* block_of(int block) const noexcept;
    shard* shard_of(std::uint32_t number) noexcept;
    shard* make_block(int block) noexcept;
    void copy_value(void* to, const void* from) const noexcept;
    pool_node* take_slow(shard* mine);
    void give_slow(shard* mine, pool_node* full) noexcept;
    pool_node* take_from_others(bool aged, const shard* mine);
    void see_time();
    pool_node* age();
    static void discard(pool_node* list, void (*destroy)(pool_node*) noexcept) noexcept;
    friend struct pool_list;

    const std::size_t node_bytes_;
    const std::size_t align_;
    const std::size_t value_at_;
    const std::size_t value_bytes_;
    void (*const destroy_)(pool_node*) noexcept;
    // When the values were made one age older.
    word<std::int64_t> aged_ns_{0};
    // Block b has the 2^b shards from number 2^b - 1 on. Made when they are needed.
    word<shard*> blocks_[k_blocks];
};

}  // namespace detail

// Each P keeps values of its own, so that get and put contend for nothing; one that has none takes
// what another has put. A value may vanish whenever it is in the pool, and is never there twice.
//
// In the place of the cycles of Go's collector there is the clock: about once in a second what was
// put before the last time but one and has not been used since is destroyed (Go's victim cache),
// also where the pool is not used any more, while there is a runtime: then by a goroutine, which
// may be at it a little longer than the pool lives. A P that is never idle keeps one value.
//
// get and put are for goroutines and threads, at the same time; no one may be inside any more when
// it is destroyed. What happens before a put is visible after the get that returns the value.
// Usable as a global.
template <class T>
class pool {
    static_assert(std::is_move_constructible_v<T>, "pirn::pool: values are moved in and out");

  public:
    using value_type = T;

    // New values are T(): null for pointers.
    constexpr pool() noexcept : pool([] { return T(); }) {}
    // New values are what make() returns. A captureless function makes no demands; another one is
    // kept, and must be callable by several at a time.
    template <class Make>
        requires(std::is_invocable_r_v<T, Make&> && !std::is_same_v<std::decay_t<Make>, pool>)
    constexpr explicit pool(Make make)
        : core_(sizeof(node), alignof(node), k_value_at, sizeof(T), &destroy) {
        if constexpr (std::is_convertible_v<Make, T (*)()>)
            plain_ = make;
        else
            make_ = std::make_unique<maker<Make>>(std::move(make));
    }

    // A value that was put, or a new one.
    T get() {
        if constexpr (detail::k_moves_as_bytes<T>) {
            room r;
            if (!core_.take_bytes(r.bytes)) return make_new();
            struct at_end {
                room& r;
                ~at_end() { std::destroy_at(r.value()); }
            } finally{r};
            return std::move(*r.value());
        }
        auto* n = static_cast<node*>(core_.take());
        if (n == nullptr) return make_new();
        struct at_end {
            detail::pool_core& core;
            node* n;
            ~at_end() {
                std::destroy_at(n->value());
                core.give_empty(n);
            }
        } finally{core_, n};
        return std::move(*n->value());
    }

    // Keeps the value for others.
    void put(T value) {
        if constexpr (detail::k_moves_as_bytes<T>) {
            // In the pool it is another object, so the argument is left empty.
            room r;
            ::new (static_cast<void*>(r.bytes)) T(std::move(value));
            struct unless_given {
                room* r;
                ~unless_given() {
                    if (r != nullptr) std::destroy_at(r->value());
                }
            } finally{&r};
            core_.give_bytes(r.bytes);
            finally.r = nullptr;
            return;
        }
        auto* n = ::new (static_cast<void*>(core_.take_empty())) node;
        if constexpr (std::is_nothrow_move_constructible_v<T>) {
            ::new (static_cast<void*>(n->bytes)) T(std::move(value));
        } else {
            try {
                ::new (static_cast<void*>(n->bytes)) T(std::move(value));
            } catch (...) {
                core_.give_empty(n);
                throw;
            }
        }
        core_.give(n);
    }

  private:
    struct room {
        alignas(T) std::byte bytes[sizeof(T)];
        T* value() { return std::launder(reinterpret_cast<T*>(bytes)); }
    };
    struct node : detail::pool_node, room {};
    static constexpr std::size_t k_value_at =
        (sizeof(detail::pool_node) + alignof(T) - 1) / alignof(T) * alignof(T);
    T make_new() { return make_ != nullptr ? make_->call() : plain_(); }
    static void destroy(detail::pool_node* n) noexcept {
        std::destroy_at(static_cast<node*>(n)->value());
    }

    struct maker_base {
        virtual ~maker_base() = default;
        virtual T call() = 0;
    };
    template <class Make>
    struct maker final : maker_base {
        explicit maker(Make&& f) : make(std::move(f)) {}
        T call() override { return std::invoke(make); }
        Make make;
    };

    detail::pool_core core_;
    T (*plain_)() = nullptr;
    std::unique_ptr<maker_base> make_;
};

}  // namespace pirn
