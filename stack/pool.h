// SPDX-License-Identifier: MIT
// Where stacks come from: a cache per P, refilled and drained in batches through a global list,
// that one from large regions.
//
// Invariants:
//  - A block is in exactly one place: in use, in one cache, or in one batch of the global list.
//  - A cache holds less than two batches; a batch has k_batch blocks (the last drained: fewer).
//  - Blocks are handed out newest first, so that the next goroutine runs on a warm stack.
#pragma once

#include <cstddef>

#include "stack/stack.h"

namespace pirn::stack {

inline constexpr unsigned k_batch = 32;

// Owned by one P's thread.
class cache {
  public:
    // A block of the default size. Fatal when none can be had, with the limit that was met.
    block* get() {
        block* b = free_;
        if (b == nullptr) [[unlikely]]
            return get_slow();
        free_ = b->next_free;
        --count_;
        b->in_use = 1;
        return b;
    }
    void put(block* b) {
        b->in_use = 0;
        if (b->size_class != 0 || count_ >= 2 * k_batch) [[unlikely]] {
            put_slow(b);
            return;
        }
        b->next_free = free_;
        free_ = b;
        ++count_;
    }
    // Gives everything back to the global list.
    void drain();
    unsigned count() const { return count_; }

  private:
    block* get_slow();
    void put_slow(block* b);
    void push_batch(unsigned n);

    block* free_ = nullptr;
    unsigned count_ = 0;
};

// A block with at least `bytes` usable, rounded up to a power of two times the default size.
// Larger ones than the default are kept in lists of their own.
block* get_sized(cache& c, std::size_t bytes);

// Calls fn(block, arg) for every block that was ever made and still exists, in use or free. Blocks
// appear while it runs; the caller reads `in_use` and its own state with care.
void for_each_block(void (*fn)(block*, void*), void* arg);

struct pool_stats {
    std::size_t blocks;          // that exist
    std::size_t mapped_bytes;    // address space of all regions
};
pool_stats stats();

// How many blocks of the default size can exist; 0: no limit but memory.
std::size_t blocks_max();

// Unmaps every region. Only when no block is in use and no cache holds one.
void release_all();

}  // namespace pirn::stack
