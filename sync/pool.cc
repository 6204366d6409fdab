// SPDX-License-Identifier: MIT
// pool: where the nodes are.
//
// A shard belongs to each P, by its number, and one, the first, to all callers without a P.
//
// Invariants:
//   - A node is in one place: with a caller, in a shard's `own` or `empty`, or on one of its lists.
//   - `own`, `empty` and `ops` are touched only by who has the shard's P at the moment, without a
//     lock: nothing in here parks or runs the user's code while it has a shard in hand.
//   - The lists are touched under the shard's lock, by anyone.
//
// take: own; the shard's list, the newest first; other shards' lists; then in the same order what
// has aged. give: own, or the list.
//
// Growing old. Now and then a caller looks at the clock, and the one that finds the time come makes
// all lists older: what has aged already is destroyed. So does sysmon, for pools that nobody calls;
// it leaves what is to be destroyed on a list, `unwanted`, for a goroutine to do so. `own` is made
// older only there, and only where its P is idle: a P that is in use may be using it, and what asks
// the P would cost every get.
#include <pirn/pool.h>

#include <bit>
#include <cstring>

#include "runtime/aging.h"
#include "runtime/base/alloc.h"
#include "runtime/base/cacheline.h"
#include "runtime/base/clock.h"
#include "runtime/lock.h"
#include "runtime/where.h"

namespace pirn::detail {
namespace {

constexpr std::uint32_t k_ops_between_looks = 256;   // at the clock
constexpr std::uint32_t k_empty_nodes = 64;          // that a shard keeps

// For callers without a P.
constexpr std::uint32_t k_common = 0;

// Puts one list before another.
void splice(pool_node* list, pool_node*& before) {
    while (pool_node* n = list) {
        list = n->next;
        n->next = before;
        before = n;
    }
}

std::uint32_t caller_number() {
    const std::uint32_t p = rt::current_p();
    return p == rt::k_no_p ? k_common : p + 1;
}

}  // namespace

// A pool that has shards, on the list of all of them.
struct listed_pool {
    pool_core* of;
    listed_pool* next = nullptr;
    listed_pool* prev = nullptr;
};

// All pools that have shards. A pool's part of what is unwanted is taken under the list's lock, so
// that the pool may be gone when it is destroyed.
struct pool_list {
    static inline constinit rt::lock mu{rt::lock_rank::pools};
    static inline constinit listed_pool* first = nullptr;   // guarded by mu

    static void add(pool_core* core, pool_core::shard* common) noexcept;
    static void remove(listed_pool* entry) noexcept;
    static bool age_one(pool_core& core, const rt::idle_ps& idle);
    static rt::aging::outcome age(rt::sched* s);
    static void sweep();
    static void forget() { ::new (&mu) rt::lock(rt::lock_rank::pools); }
    static constexpr rt::aging hooks{&age, &sweep, &forget};
};

struct alignas(base::k_cache_line_bytes) pool_core::shard {
    // By who has the P; not used in the common one.
    pool_node* own = nullptr;
    pool_node* empty = nullptr;
    std::uint32_t empty_count = 0;
    std::uint32_t ops = 0;
    bool common = false;

    // Protects the lists. While it is held: nothing but that.
    alignas(base::k_cache_line_bytes) rt::lock mu{rt::lock_rank::leaf};
    pool_node* fresh = nullptr;
    pool_node* aged = nullptr;
    // Only in the common one: for the sweep. Without values: `unwanted_empty`.
    pool_node* unwanted = nullptr;
    pool_node* unwanted_empty = nullptr;
    listed_pool* entry = nullptr;
    // How many nodes the lists have: written under the lock, looked at without.
    word<std::uint32_t> listed{0};

    bool any() const { return listed.load(std::memory_order_relaxed) != 0; }
    void count(std::uint32_t n) {
        listed.store(listed.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }
    pool_node* pop(bool of_aged) {
        // Relaxed: a node that is just being put may be missed.
        if (!any()) return nullptr;
        const rt::lock_guard hold(mu);
        pool_node*& list = of_aged ? aged : fresh;
        pool_node* n = list;
        if (n == nullptr) return nullptr;
        list = n->next;
        count(~std::uint32_t{0});
        return n;
    }
    void push(pool_node* n) {
        const rt::lock_guard hold(mu);
        n->next = fresh;
        fresh = n;
        count(1);
    }
};

pool_core::shard* pool_core::block_of(int block) const noexcept {
    // ORD(pool-block): acquire; pairs with the release in make_block.
    return blocks_[block].load(std::memory_order_acquire);
}

// Null: there is no memory.
pool_core::shard* pool_core::shard_of(std::uint32_t number) noexcept {
    const std::uint32_t at = number + 1;
    const int block = std::bit_width(at) - 1;
    shard* shards = block_of(block);
    if (shards == nullptr) [[unlikely]] {
        shards = make_block(block);
        if (shards == nullptr) return nullptr;
    }
    return shards + (at ^ 1u << block);
}

[[gnu::noinline]] pool_core::shard* pool_core::make_block(int block) noexcept {
    // The common shard is there whenever any is.
    if (block != 0 && block_of(0) == nullptr && make_block(0) == nullptr) return nullptr;
    const std::uint32_t count = 1u << block;
    shard* shards = nullptr;
    try {
        shards = static_cast<shard*>(
            base::allocate(count * sizeof(shard), base::k_cache_line_bytes));
    } catch (...) {
        return nullptr;
    }
    for (std::uint32_t i = 0; i < count; ++i) ::new (shards + i) shard;
    if (block == 0) shards[0].common = true;
    shard* before = nullptr;
    // ORD(pool-block): release; the shards are made. Acquire on failure, for those of who was
    // faster; as in block_of.
    if (blocks_[block].compare_exchange(before, shards, std::memory_order_release,
                                        std::memory_order_acquire)) {
        if (block == 0) pool_list::add(this, shards);
        return shards;
    }
    base::deallocate(shards);
    return before;
}

void pool_core::copy_value(void* to, const void* from) const noexcept {
    if (value_bytes_ == sizeof(void*)) [[likely]]
        std::memcpy(to, from, sizeof(void*));
    else
        std::memcpy(to, from, value_bytes_);
}

bool pool_core::take_bytes(void* value) {
    shard* mine = shard_of(caller_number());
    if (mine == nullptr || mine->own == nullptr ||
        ++mine->ops % k_ops_between_looks == 0) [[unlikely]] {
        pool_node* n = take();
        if (n == nullptr) return false;
        copy_value(value, reinterpret_cast<std::byte*>(n) + value_at_);
        give_empty(n);
        return true;
    }
    pool_node* n = mine->own;
    mine->own = nullptr;
    copy_value(value, reinterpret_cast<std::byte*>(n) + value_at_);
    // One more than it keeps at the most, until the next one.
    n->next = mine->empty;
    mine->empty = n;
    ++mine->empty_count;
    return true;
}

void pool_core::give_bytes(const void* value) {
    shard* mine = shard_of(caller_number());
    if (mine == nullptr || mine->empty == nullptr || mine->own != nullptr) [[unlikely]] {
        pool_node* n = ::new (take_empty()) pool_node;
        copy_value(reinterpret_cast<std::byte*>(n) + value_at_, value);
        give(n);
        return;
    }
    pool_node* n = mine->empty;
    mine->empty = n->next;
    --mine->empty_count;
    copy_value(reinterpret_cast<std::byte*>(n) + value_at_, value);
    mine->own = n;
}

pool_node* pool_core::take() {
    shard* mine = shard_of(caller_number());
    if (mine != nullptr && mine->own != nullptr) [[likely]] {
        pool_node* n = mine->own;
        mine->own = nullptr;
        if (++mine->ops % k_ops_between_looks == 0) [[unlikely]]
            see_time();
        return n;
    }
    return take_slow(mine);
}

// The caller must not use its shard any more afterwards: it may have run the user's code.
[[gnu::noinline]] pool_node* pool_core::take_slow(shard* mine) {
    if (mine == nullptr) return nullptr;
    const bool look = !mine->common && ++mine->ops % k_ops_between_looks == 0;
    pool_node* n = mine->pop(false);
    if (n == nullptr) n = take_from_others(false, mine);
    if (n == nullptr) n = mine->pop(true);
    if (n == nullptr) n = take_from_others(true, mine);
    if (look) see_time();
    return n;
}

pool_node* pool_core::take_from_others(bool aged, const shard* mine) {
    for (int block = 0; block < k_blocks; ++block) {
        shard* shards = block_of(block);
        if (shards == nullptr) continue;
        for (std::uint32_t i = 0; i < 1u << block; ++i) {
            if (shards + i == mine) continue;
            if (pool_node* n = shards[i].pop(aged)) return n;
        }
    }
    return nullptr;
}

void pool_core::give(pool_node* full) noexcept {
    shard* mine = shard_of(caller_number());
    if (mine != nullptr && mine->own == nullptr && !mine->common) [[likely]] {
        mine->own = full;
        return;
    }
    give_slow(mine, full);
}

[[gnu::noinline]] void pool_core::give_slow(shard* mine, pool_node* full) noexcept {
    if (mine == nullptr) {
        full->next = nullptr;
        discard(full, destroy_);
        return;
    }
    const bool look = mine->common || ++mine->ops % k_ops_between_looks == 0;
    mine->push(full);
    if (look) see_time();
}

pool_node* pool_core::take_empty() {
    shard* mine = shard_of(caller_number());
    if (mine != nullptr && mine->empty != nullptr) [[likely]] {
        pool_node* n = mine->empty;
        mine->empty = n->next;
        --mine->empty_count;
        return n;
    }
    return static_cast<pool_node*>(base::allocate(node_bytes_, align_));
}

void pool_core::give_empty(pool_node* empty) noexcept {
    shard* mine = shard_of(caller_number());
    if (mine == nullptr || mine->common || mine->empty_count >= k_empty_nodes) {
        base::deallocate(empty);
        return;
    }
    empty->next = mine->empty;
    mine->empty = empty;
    ++mine->empty_count;
}

// Makes the values older if it is time.
[[gnu::noinline]] void pool_core::see_time() {
    const std::int64_t now = base::now_ns();
    // Relaxed: the word decides only who does it.
    std::int64_t last = aged_ns_.load(std::memory_order_relaxed);
    if (last != 0 && now - last < rt::age_ns()) return;
    if (!aged_ns_.compare_exchange(last, now, std::memory_order_relaxed,
                                   std::memory_order_relaxed))
        return;
    // The first look is the beginning of the first age.
    if (last != 0) discard(age(), destroy_);
}

// What nobody wants.
pool_node* pool_core::age() {
    pool_node* unwanted = nullptr;
    for (int block = 0; block < k_blocks; ++block) {
        shard* shards = block_of(block);
        if (shards == nullptr) continue;
        for (std::uint32_t i = 0; i < 1u << block; ++i) {
            shard& s = shards[i];
            const rt::lock_guard hold(s.mu);
            std::uint32_t n = 0;
            while (pool_node* old = s.aged) {
                s.aged = old->next;
                old->next = unwanted;
                unwanted = old;
                ++n;
            }
            s.aged = s.fresh;
            s.fresh = nullptr;
            s.count(0u - n);
        }
    }
    return unwanted;
}

void pool_core::discard(pool_node* list, void (*destroy)(pool_node*) noexcept) noexcept {
    while (list != nullptr) {
        pool_node* n = list;
        list = n->next;
        if (destroy != nullptr) destroy(n);
        base::deallocate(n);
    }
}

// Where there is no memory for it the pool's values grow old only while it is used.
void pool_list::add(pool_core* core, pool_core::shard* common) noexcept {
    try {
        common->entry = base::make<listed_pool>(core);
    } catch (...) {
        return;
    }
    {
        const rt::lock_guard hold(mu);
        common->entry->next = first;
        if (first != nullptr) first->prev = common->entry;
        first = common->entry;
    }
    rt::set_aging(&hooks);
}

void pool_list::remove(listed_pool* entry) noexcept {
    {
        const rt::lock_guard hold(mu);
        if (entry->next != nullptr) entry->next->prev = entry->prev;
        (entry->prev != nullptr ? entry->prev->next : first) = entry->next;
    }
    base::destroy(entry);
}

// True: something is left that may grow older.
bool pool_list::age_one(pool_core& core, const rt::idle_ps& idle) {
    const std::int64_t now = base::now_ns();
    // Relaxed: as in see_time. Where it is not time yet, a caller was faster.
    std::int64_t last = core.aged_ns_.load(std::memory_order_relaxed);
    const bool is_time = now - last >= rt::age_ns() / 2 &&
                         core.aged_ns_.compare_exchange(last, now, std::memory_order_relaxed,
                                                        std::memory_order_relaxed);
    pool_node* unwanted = is_time ? core.age() : nullptr;
    pool_node* empty = nullptr;
    bool kept = false;
    for (int block = 0; block < pool_core::k_blocks; ++block) {
        pool_core::shard* shards = core.block_of(block);
        if (shards == nullptr) continue;
        for (std::uint32_t i = 0; i < 1u << block; ++i) {
            pool_core::shard& s = shards[i];
            // The number of a shard's P, one less than its own.
            const std::uint32_t number = (1u << block) - 1 + i - 1;
            if (!s.common && idle.has(number)) {
                if (s.own != nullptr) s.push(std::exchange(s.own, nullptr));
                while (pool_node* n = s.empty) {
                    s.empty = n->next;
                    n->next = empty;
                    empty = n;
                }
                s.empty_count = 0;
            }
            kept |= s.any();
        }
    }
    pool_core::shard& common = *core.block_of(0);
    const rt::lock_guard hold(common.mu);
    splice(unwanted, common.unwanted);
    splice(empty, common.unwanted_empty);
    return kept;
}

rt::aging::outcome pool_list::age(rt::sched* s) {
    rt::aging::outcome found;
    const rt::lock_guard hold(mu);
    for (const listed_pool* entry = first; entry != nullptr; entry = entry->next) {
        const rt::idle_ps idle(s);
        found.kept |= age_one(*entry->of, idle);
        const pool_core::shard& common = *entry->of->block_of(0);
        found.unwanted |= common.unwanted != nullptr || common.unwanted_empty != nullptr;
    }
    return found;
}

void pool_list::sweep() {
    for (;;) {
        pool_node* unwanted = nullptr;
        pool_node* empty = nullptr;
        void (*destroy)(pool_node*) noexcept = nullptr;
        {
            const rt::lock_guard hold(mu);
            for (listed_pool* entry = first; entry != nullptr; entry = entry->next) {
                pool_core::shard& common = *entry->of->block_of(0);
                const rt::lock_guard hold_common(common.mu);
                unwanted = std::exchange(common.unwanted, nullptr);
                empty = std::exchange(common.unwanted_empty, nullptr);
                destroy = entry->of->destroy_;
                if (unwanted != nullptr || empty != nullptr) break;
            }
        }
        if (unwanted == nullptr && empty == nullptr) return;
        pool_core::discard(unwanted, destroy);
        pool_core::discard(empty, nullptr);
    }
}

pool_core::~pool_core() {
    if (shard* common = block_of(0); common != nullptr && common->entry != nullptr)
        pool_list::remove(common->entry);
    for (int block = 0; block < k_blocks; ++block) {
        shard* shards = block_of(block);
        if (shards == nullptr) continue;
        for (std::uint32_t i = 0; i < 1u << block; ++i) {
            shard& s = shards[i];
            if (s.own != nullptr) s.own->next = nullptr;
            for (pool_node* full : {s.own, s.fresh, s.aged, s.unwanted}) discard(full, destroy_);
            for (pool_node* empty : {s.empty, s.unwanted_empty}) discard(empty, nullptr);
        }
        base::deallocate(shards);
    }
}

}  // namespace pirn::detail
