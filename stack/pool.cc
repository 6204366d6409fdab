// SPDX-License-Identifier: MIT
// The global list of stacks and the regions they are cut from.
#include "stack/pool.h"

#include <cerrno>
#include <mutex>

#include "runtime/base/alloc.h"
#include "runtime/base/check.h"
#include "stack/map.h"

namespace pirn::stack {
namespace {

constexpr unsigned k_classes = 32;
constexpr std::size_t k_slots_per_region = 256;

// A piece of address space cut into equal slots, of which the first `made` have a block.
struct region {
    region* next;
    std::byte* start;
    std::size_t bytes;
    std::size_t slot_bytes;
    std::size_t slots;
    std::size_t made;
    std::uint32_t size_class;
    block** blocks;  // one pointer for each slot, so that a dump need not guess the colour
};

// Guarded by `mutex`. A std::mutex, because the layer below the runtime has no lock of its own;
// it is taken once for each batch.
struct global {
    std::mutex mutex;
    layout header{};
    block* batches = nullptr;             // of the default size, chained by next_batch
    block* sized[k_classes] = {};         // larger ones, by class
    region* regions[k_classes] = {};      // newest first; only the newest may have slots left
    pool_stats counts{};
};

global& the() {
    static global* const g = new global;  // never destroyed: Ms may end after static destructors
    return *g;
}

std::size_t class_bytes(std::uint32_t size_class) { return k_default_bytes << size_class; }

// `mutex` is held by the caller and let go here: the report walks the blocks.
[[noreturn]] void out_of_stacks(const char* what) {
    const std::size_t n = the().counts.blocks;
    the().mutex.unlock();
    if (guards() == guard_kind::mprotect && n >= guards_max())
        base::fatalf(
            "out of guarded stacks: %zu goroutine stacks exist, their guards take two mappings "
            "each, and vm.max_map_count allows about %zu; raise vm.max_map_count, or run on Linux "
            "6.13 or newer, where guards cost no mapping",
            n, guards_max());
    base::fatalf("out of memory for goroutine stacks: %s failed with errno %d after %zu stacks",
                 what, errno, n);
}

// A region of the class with at least one slot left. `mutex` is held.
region* open_region(std::uint32_t size_class) {
    global& g = the();
    region* r = g.regions[size_class];
    if (r != nullptr && r->made < r->slots) return r;
    const std::size_t slot = class_bytes(size_class) + k_guard_bytes;
    const std::size_t slots = size_class == 0 ? k_slots_per_region : 1;
    std::byte* start = map_region(slot * slots);
    if (start == nullptr) out_of_stacks("mmap");
    r = static_cast<region*>(base::allocate(sizeof(region)));
    auto** blocks = static_cast<block**>(base::allocate(slots * sizeof(block*)));
    *r = {g.regions[size_class], start, slot * slots, slot, slots, 0, size_class, blocks};
    g.regions[size_class] = r;
    g.counts.mapped_bytes += r->bytes;
    return r;
}

// Cuts the next slot of a region and puts the header in place. `mutex` is held.
block* make_block(std::uint32_t size_class) {
    global& g = the();
    region* r = open_region(size_class);
    std::byte* slot = r->start + r->made * r->slot_bytes;
    if (!install_guard(slot, k_guard_bytes)) out_of_stacks("a guard");
    const std::size_t align = g.header.header_align;
    const std::size_t header = (g.header.header_bytes + align - 1) / align * align;
    // Neighbours in time get colours far apart: two goroutines that take turns should not meet
    // at the same offset in a page, where the CPU takes loads of the one for stores of the other.
    const std::size_t colour = g.counts.blocks * 5 % k_colours * k_colour_bytes;
    block* b = g.header.construct(slot + r->slot_bytes - colour - header);
    b->lo = slot + k_guard_bytes;
    b->bytes = r->slot_bytes - k_guard_bytes;
    b->size_class = size_class;
    r->blocks[r->made++] = b;
    ++g.counts.blocks;
    return b;
}

}  // namespace

void set_layout(const layout& l) {
    std::lock_guard hold(the().mutex);
    the().header = l;
}

block* cache::get_slow() {
    global& g = the();
    std::lock_guard hold(g.mutex);
    if (block* batch = g.batches) {
        g.batches = batch->next_batch;
        free_ = batch;
        for (block* b = batch; b != nullptr; b = b->next_free) ++count_;
    } else {
        // Few at a time: each new block touches its page.
        constexpr unsigned k_fresh = 8;
        const std::size_t limit = guards_max();
        unsigned n = k_fresh;
        if (limit != 0 && g.counts.blocks + n > limit) n = 1;
        for (unsigned i = 0; i < n; ++i) {
            block* b = make_block(0);
            b->next_free = free_;
            free_ = b;
            ++count_;
        }
    }
    block* b = free_;
    free_ = b->next_free;
    --count_;
    b->in_use = 1;
    return b;
}

// Moves the `n` newest blocks to the global list as one batch.
void cache::push_batch(unsigned n) {
    block* first = free_;
    block* last = first;
    for (unsigned i = 1; i < n; ++i) last = last->next_free;
    free_ = last->next_free;
    count_ -= n;
    last->next_free = nullptr;
    global& g = the();
    std::lock_guard hold(g.mutex);
    first->next_batch = g.batches;
    g.batches = first;
}

void cache::put_slow(block* b) {
    if (b->size_class != 0) {
        global& g = the();
        std::lock_guard hold(g.mutex);
        b->next_free = g.sized[b->size_class];
        g.sized[b->size_class] = b;
        return;
    }
    push_batch(k_batch);
    b->next_free = free_;
    free_ = b;
    ++count_;
}

void cache::drain() {
    while (count_ > 0) push_batch(count_ < k_batch ? count_ : k_batch);
}

block* get_sized(cache& c, std::size_t bytes) {
    if (bytes <= k_default_bytes) return c.get();
    global& g = the();
    std::lock_guard hold(g.mutex);
    std::uint32_t size_class = 0;
    while (class_bytes(size_class) < bytes) {
        if (++size_class == k_classes - 1) out_of_stacks("the size asked for");
    }
    block* b = g.sized[size_class];
    if (b != nullptr)
        g.sized[size_class] = b->next_free;
    else
        b = make_block(size_class);
    b->in_use = 1;
    return b;
}

void for_each_block(void (*fn)(block*, void*), void* arg) {
    global& g = the();
    std::lock_guard hold(g.mutex);
    for (region* list : g.regions) {
        for (region* r = list; r != nullptr; r = r->next) {
            for (std::size_t i = 0; i < r->made; ++i) fn(r->blocks[i], arg);
        }
    }
}

pool_stats stats() {
    global& g = the();
    std::lock_guard hold(g.mutex);
    return g.counts;
}

std::size_t blocks_max() { return guards_max(); }

void release_all() {
    global& g = the();
    std::lock_guard hold(g.mutex);
    g.batches = nullptr;
    for (unsigned c = 0; c < k_classes; ++c) {
        g.sized[c] = nullptr;
        while (region* r = g.regions[c]) {
            g.regions[c] = r->next;
            unmap_region(r->start, r->bytes);
            forget_guards(r->made);
            base::deallocate(r->blocks);
            base::deallocate(r);
        }
    }
    g.counts = {};
}

}  // namespace pirn::stack
