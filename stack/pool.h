// SPDX-License-Identifier: MIT
// Where blocks come from: a cache per P, refilled and drained in batches through the regions that
// the blocks are cut from.
//
// Invariants:
//  - A block is in exactly one place: in use, in one cache, or in its region's list.
//  - A cache holds less than three batches of each class that it keeps.
//  - Blocks are handed out newest first, so that the next goroutine runs on a warm stack.
#pragma once

#include <cstddef>

#include "stack/stack.h"

namespace pirn::stack {

inline constexpr unsigned k_batch = 32;
// The classes that a cache keeps: small blocks and the smallest of the large ones.
inline constexpr std::uint32_t k_cached_classes = 2;

// Owned by one P's thread.
class cache {
  public:
    // A block of the class. Fatal when none can be had, with the limit that was met.
    block* get(std::uint32_t size_class) {
        if (size_class >= k_cached_classes || lists_[size_class].free == nullptr) [[unlikely]]
            return get_slow(size_class);
        list& l = lists_[size_class];
        block* b = l.free;
        l.free = b->next_free;
        --l.count;
        b->in_use = 1;
        return b;
    }
    void put(block* b) {
        b->in_use = 0;
        if (b->size_class >= k_cached_classes || lists_[b->size_class].count >= 2 * k_batch)
            [[unlikely]] {
            put_slow(b);
            return;
        }
        push(b);
    }
    // Gives everything back to the regions.
    void drain();
    unsigned count() const { return lists_[0].count + lists_[1].count; }

  private:
    struct list {
        block* free = nullptr;
        unsigned count = 0;
    };
    void push(block* b) {
        list& l = lists_[b->size_class];
        b->next_free = l.free;
        l.free = b;
        ++l.count;
    }
    block* get_slow(std::uint32_t size_class);
    void put_slow(block* b);

    list lists_[k_cached_classes];
};

// From here on the first small block is fatal, with this reason. Null: they may be had again.
void forbid_small(const char* reason);

// The class of a large block with at least `bytes` usable. Fatal when there is none so large.
std::uint32_t large_class(std::size_t bytes);

// Calls fn(block, arg) for every block that was ever made and still exists, in use or free. Blocks
// appear while it runs; the caller reads `in_use` and its own state with care.
void for_each_block(void (*fn)(block*, void*), void* arg);

struct pool_stats {
    std::size_t blocks;          // that exist
    std::size_t mapped_bytes;    // address space of all regions
};
pool_stats stats();

// How many large blocks and segments can exist; 0: no limit but memory.
std::size_t blocks_max();

// True while much more is free than is in use: caches should be drained, then trim() called.
bool has_surplus();
// Unmaps the regions whose blocks are all free, but for the first. True: there were some.
bool trim();

// In the child of a fork: there are no blocks any more, though those that were stay where they are.
void forget_blocks();

// Unmaps every region. Only when no block is in use and no cache holds one.
void release_all();

}  // namespace pirn::stack
