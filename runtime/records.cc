// SPDX-License-Identifier: MIT
// Regions of spawn records.
#include "runtime/records.h"

#include "runtime/base/check.h"
#include "runtime/fork.h"
#include "runtime/lock.h"
#include "stack/map.h"

namespace pirn::rt {
namespace {

constexpr std::size_t k_region_bytes = 1 << 20;

// At the start of its memory, which is aligned, so that a record tells its region.
struct alignas(128) region {
    region* next = nullptr;
    region* next_open = nullptr;
    spawn_record* free = nullptr;
    std::size_t made = 0;
    std::size_t free_count = 0;
    bool is_open = false;      // on the list of those that have a record to give
};
constexpr std::size_t k_slots = (k_region_bytes - sizeof(region)) / k_record_bytes;

struct global {
    lock mu{lock_rank::leaf};
    // Guarded by mu.
    region* all = nullptr;
    region* open = nullptr;
};
constinit global pool;

void open_up(region* r) {
    r->is_open = true;
    r->next_open = pool.open;
    pool.open = r;
}

// pool.mu is held.
void* take() {
    region* r = pool.open;
    if (r == nullptr) {
        std::byte* memory = stack::map_aligned(k_region_bytes);
        if (memory == nullptr) base::fatal("out of memory for goroutines that have not run yet");
        r = ::new (memory) region;
        r->next = pool.all;
        pool.all = r;
        open_up(r);
    }
    void* taken = r->free;
    if (taken != nullptr) {
        r->free = static_cast<spawn_record*>(r->free->next);
        --r->free_count;
    } else {
        taken = reinterpret_cast<std::byte*>(r + 1) + r->made++ * k_record_bytes;
    }
    if (r->free == nullptr && r->made == k_slots) {
        pool.open = r->next_open;
        r->is_open = false;
    }
    return taken;
}

// pool.mu is held.
void give(spawn_record* record) {
    auto* r = reinterpret_cast<region*>(reinterpret_cast<std::uintptr_t>(record) /
                                        k_region_bytes * k_region_bytes);
    record->next = r->free;
    r->free = record;
    ++r->free_count;
    if (!r->is_open) open_up(r);
}

// pool.mu is held. Unmaps the regions without a record in use, except `spared` of them.
void unmap_unused(int spared) {
    pool.open = nullptr;
    for (region** at = &pool.all; *at != nullptr;) {
        region* r = *at;
        if (r->free_count == r->made && spared-- <= 0) {
            *at = r->next;
            stack::unmap_region(reinterpret_cast<std::byte*>(r), k_region_bytes);
            continue;
        }
        r->is_open = false;
        if (r->free != nullptr || r->made < k_slots) open_up(r);
        at = &r->next;
    }
}

}  // namespace

void record_cache::refill() {
    if (closed_) throw panic(k_no_go_in_child);
    lock_guard hold(pool.mu);
    for (std::uint32_t i = 0; i < k_batch; ++i) {
        auto* r = static_cast<spawn_record*>(take());  // new_record makes it one
        r->next = free_;
        free_ = r;
        ++count_;
    }
}

void record_cache::give_batch(std::uint32_t n) {
    lock_guard hold(pool.mu);
    for (; n > 0; --n) {
        spawn_record* r = free_;
        free_ = static_cast<spawn_record*>(r->next);
        give(r);
        --count_;
    }
}

void* take_record() {
    lock_guard hold(pool.mu);
    return take();
}

void give_record(spawn_record* r) {
    lock_guard hold(pool.mu);
    give(r);
}

void trim_records() {
    lock_guard hold(pool.mu);
    unmap_unused(1);
}

void forget_records() { ::new (&pool) global; }

void release_records() {
    lock_guard hold(pool.mu);
    unmap_unused(0);
}

}  // namespace pirn::rt
