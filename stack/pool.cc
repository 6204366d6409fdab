// SPDX-License-Identifier: MIT
// The regions that blocks are cut from.
#include "stack/pool.h"

#include <cerrno>
#include <cstring>
#include <mutex>

#include "runtime/base/alloc.h"
#include "runtime/base/atomic.h"
#include "runtime/base/check.h"
#include "stack/map.h"

namespace pirn::stack {
namespace {

constexpr std::size_t k_small_region_bytes = 2 << 20;  // a huge page
constexpr std::size_t k_large_per_region = 64;
// Memory of small regions beyond these is faulted in whole, as huge pages where there are any: a
// million blocks would otherwise spend more time in page faults than in anything else.
constexpr std::uint32_t k_small_regions_by_page = 4;
// Free blocks in regions, besides an eighth of those in use, from which there is a surplus: more
// than a region's worth.
constexpr std::size_t k_surplus_blocks = k_small_region_bytes / k_small_bytes + 128;

// A piece of address space cut into equal slots, of which the first `made` have a block. An
// unmapped one keeps its place in the table for the next.
struct region {
    std::byte* start;
    std::size_t bytes;
    std::size_t slots;
    std::size_t made;
    std::size_t free_count;
    block* free;
};

// The regions of one size class.
struct table {
    region** regions;
    std::uint32_t count;
    std::uint32_t capacity;
    std::uint32_t first_open;  // none before it has a free block, or a slot without one
};

// Guarded by `mutex`. A std::mutex, because the layer below the runtime has no lock of its own;
// it is taken once for each batch.
struct global {
    std::mutex mutex;
    layout header{};
    table tables[k_classes] = {};
    pool_stats counts{};
    std::size_t free_blocks = 0;   // in regions
    base::atomic<bool> surplus{false};
    const char* no_small = nullptr;  // why there may be no small blocks
};

global& the() {
    // Never destroyed: Ms may end after static destructors. runtime/gdb.py knows its name.
    static global* const pool = new global;
    return *pool;
}

std::size_t slot_bytes(std::uint32_t c) {
    return c == 0 ? k_small_bytes : class_bytes(c) + k_guard_bytes;
}
std::size_t slots_per_region(std::uint32_t c) {
    if (c == 0) return k_small_region_bytes / k_small_bytes;
    return c == 1 ? k_large_per_region : 1;
}

// `mutex` is held by the caller and let go here: the report walks the blocks.
[[noreturn]] void out_of_stacks(const char* what) {
    const int error = errno;
    const std::size_t n = the().counts.blocks;
    the().mutex.unlock();
    if (guards() == guard_kind::mprotect && n >= guards_max())
        base::fatalf(
            "out of guarded stacks: %zu goroutine stacks exist, their guards take two mappings "
            "each, and vm.max_map_count allows about %zu; raise vm.max_map_count, or run on Linux "
            "6.13 or newer, where guards cost no mapping",
            n, guards_max());
    base::fatalf("out of memory for goroutine stacks: %s failed with errno %d after %zu stacks",
                 what, error, n);
}

void map_into(region* r, std::uint32_t c, std::uint32_t index) {
    const std::size_t bytes = c == 0 ? k_small_region_bytes : slot_bytes(c) * slots_per_region(c);
    std::byte* start = c == 0 ? map_aligned(bytes) : map_region(bytes);
    if (start == nullptr) out_of_stacks("mmap");
    if (c == 0 && index >= k_small_regions_by_page) populate(start, bytes);
    *r = {start, bytes, slots_per_region(c), 0, 0, nullptr};
    the().counts.mapped_bytes += bytes;
}

// The lowest region of the class that has a block to give; a new one if need be. `mutex` is held.
region* open_region(std::uint32_t c) {
    table& t = the().tables[c];
    for (; t.first_open < t.count; ++t.first_open) {
        region* r = t.regions[t.first_open];
        if (r->start == nullptr) map_into(r, c, t.first_open);
        if (r->free != nullptr || r->made < r->slots) return r;
    }
    if (t.count == t.capacity) {
        const std::uint32_t capacity = t.capacity == 0 ? 16 : 2 * t.capacity;
        auto** regions = static_cast<region**>(base::allocate(capacity * sizeof(region*)));
        if (t.count != 0) std::memcpy(regions, t.regions, t.count * sizeof(region*));
        base::deallocate(t.regions);
        t.regions = regions;
        t.capacity = capacity;
    }
    region* r = static_cast<region*>(base::allocate(sizeof(region)));
    map_into(r, c, t.count);
    t.regions[t.count++] = r;
    return r;
}

// Where the header of a slot lies. runtime/gdb.py knows it too.
std::byte* header_at(const region* r, std::uint32_t c, std::size_t slot) {
    const layout& l = the().header;
    const std::size_t header = (l.header_bytes + l.header_align - 1) / l.header_align
                               * l.header_align;
    // Neighbours in time get colours far apart: two goroutines that take turns should not meet
    // at the same offset in a page, where the CPU takes loads of the one for stores of the other.
    const std::size_t colour = c == 0 ? 0 : slot * 5 % k_colours * k_colour_bytes;
    return r->start + (slot + 1) * slot_bytes(c) - colour - header;
}

// Puts the header of the region's next slot in place. `mutex` is held.
block* make_block(region* r, std::uint32_t c) {
    std::byte* slot = r->start + r->made * slot_bytes(c);
    const std::size_t guard = c == 0 ? 0 : k_guard_bytes;
    if (guard != 0 && !install_guard(slot, guard)) out_of_stacks("a guard");
    block* b = the().header.construct(header_at(r, c, r->made));
    b->lo = slot + guard;
    b->size_class = static_cast<std::uint8_t>(c);
    b->region = the().tables[c].first_open;
    ++r->made;
    ++the().counts.blocks;
    return b;
}

// `mutex` is held.
block* take_block(std::uint32_t c) {
    region* r = open_region(c);
    block* b = r->free;
    if (b == nullptr) return make_block(r, c);
    r->free = b->next_free;
    --r->free_count;
    --the().free_blocks;
    return b;
}

// `mutex` is held.
void give_block(block* b) {
    global& g = the();
    table& t = g.tables[b->size_class];
    region* r = t.regions[b->region];
    b->next_free = r->free;
    r->free = b;
    ++r->free_count;
    ++g.free_blocks;
    if (b->region < t.first_open) t.first_open = b->region;
}

void update_surplus() {
    global& g = the();
    const std::size_t used = g.counts.blocks - g.free_blocks;
    // Relaxed: a hint.
    g.surplus.store(g.free_blocks > used / 8 + k_surplus_blocks, std::memory_order_relaxed);
}

void unmap(region* r, std::uint32_t c) {
    global& g = the();
    unmap_region(r->start, r->bytes);
    if (c != 0) forget_guards(r->made);
    g.counts.blocks -= r->made;
    g.counts.mapped_bytes -= r->bytes;
    g.free_blocks -= r->free_count;
    *r = {};
}

}  // namespace

void set_layout(const layout& l) {
    std::lock_guard hold(the().mutex);
    the().header = l;
}

block* cache::get_slow(std::uint32_t size_class) {
    // Large blocks are made a few at a time: each touches its page.
    constexpr unsigned k_fresh = 8;
    std::unique_lock hold(the().mutex);
    if (size_class == 0 && the().no_small != nullptr) {
        hold.unlock();
        base::fatal(the().no_small);
    }
    if (size_class < k_cached_classes) {
        const std::size_t limit = size_class == 0 ? 0 : guards_max();
        unsigned n = size_class == 0 ? k_batch : k_fresh;
        if (limit != 0 && the().counts.blocks + n > limit) n = 1;
        // The last taken is the first to be handed out: in order of their addresses.
        block* batch[k_batch];
        for (unsigned i = 0; i < n; ++i) batch[i] = take_block(size_class);
        while (n-- > 1) push(batch[n]);
        batch[0]->in_use = 1;
        return batch[0];
    }
    block* b = take_block(size_class);
    b->in_use = 1;
    return b;
}

void cache::put_slow(block* b) {
    std::lock_guard hold(the().mutex);
    if (b->size_class < k_cached_classes) {
        list& l = lists_[b->size_class];
        for (unsigned i = 0; i < k_batch; ++i) {
            block* next = l.free->next_free;
            give_block(l.free);
            l.free = next;
        }
        l.count -= k_batch;
        push(b);
    } else {
        give_block(b);
    }
    update_surplus();
}

void cache::drain() {
    std::lock_guard hold(the().mutex);
    for (list& l : lists_) {
        while (block* b = l.free) {
            l.free = b->next_free;
            give_block(b);
        }
        l.count = 0;
    }
    update_surplus();
}

void forbid_small(const char* reason) {
    std::lock_guard hold(the().mutex);
    the().no_small = reason;
}

std::uint32_t large_class(std::size_t bytes) {
    std::uint32_t c = 1;
    while (class_bytes(c) < bytes) {
        if (++c == k_classes - 1) base::fatalf("go: a stack of %zu bytes cannot be had", bytes);
    }
    return c;
}

void for_each_block(void (*fn)(block*, void*), void* arg) {
    global& g = the();
    std::lock_guard hold(g.mutex);
    for (std::uint32_t c = 0; c < k_classes; ++c) {
        const table& t = g.tables[c];
        for (std::uint32_t i = 0; i < t.count; ++i) {
            const region* r = t.regions[i];
            for (std::size_t slot = 0; slot < r->made; ++slot)
                fn(reinterpret_cast<block*>(header_at(r, c, slot)), arg);
        }
    }
}

pool_stats stats() {
    global& g = the();
    std::lock_guard hold(g.mutex);
    return g.counts;
}

std::size_t blocks_max() { return guards_max(); }

bool has_surplus() { return the().surplus.load(std::memory_order_relaxed); }

bool trim() {
    global& g = the();
    std::lock_guard hold(g.mutex);
    const std::size_t before = g.counts.mapped_bytes;
    for (std::uint32_t c = 0; c < k_classes; ++c) {
        const table& t = g.tables[c];
        for (std::uint32_t i = 1; i < t.count; ++i) {
            region* r = t.regions[i];
            if (r->made != 0 && r->free_count == r->made) unmap(r, c);
        }
    }
    update_surplus();
    return g.counts.mapped_bytes != before;
}

void forget_blocks() {
    // Other threads may have held the mutex, and left the tables in any state.
    global& g = the();
    const layout header = g.header;
    const char* no_small = g.no_small;
    ::new (&g) global;
    g.header = header;
    g.no_small = no_small;
}

void release_all() {
    global& g = the();
    std::lock_guard hold(g.mutex);
    for (std::uint32_t c = 0; c < k_classes; ++c) {
        table& t = g.tables[c];
        for (std::uint32_t i = 0; i < t.count; ++i) {
            region* r = t.regions[i];
            if (r->start != nullptr) unmap(r, c);
            base::deallocate(r);
        }
        base::deallocate(t.regions);
        t = {};
    }
    g.counts = {};
    g.free_blocks = 0;
    g.surplus.store(false, std::memory_order_relaxed);
}

}  // namespace pirn::stack
