// SPDX-License-Identifier: MIT
// Memory for spawn records: a burst of a million goroutines has a million of them for a moment, and
// what it took goes back to the kernel afterwards.
#pragma once

#include <cstdint>

#include "runtime/g.h"

namespace pirn::rt {

// For a go after a fork, where nothing can run.
inline constexpr char k_no_go_in_child[] =
    "go in the child of a fork, where there is no runtime";

// A record and the closure behind it, of the common size.
inline constexpr std::size_t k_record_bytes = sizeof(spawn_record) + spawn_record::k_inline_bytes;

// Owned by one P's thread.
class record_cache {
  public:
    void* get() {
        if (free_ == nullptr) [[unlikely]]
            refill();
        spawn_record* r = free_;
        free_ = static_cast<spawn_record*>(r->next);
        --count_;
        return r;
    }
    void put(spawn_record* r) {
        if (count_ >= k_most) [[unlikely]]
            give_batch(k_batch);
        r->next = free_;
        free_ = r;
        ++count_;
    }
    void drain() { give_batch(count_); }
    // There will be no more: who asks for one gets a panic.
    void close() { closed_ = true; }

  private:
    static constexpr std::uint32_t k_batch = 128;
    static constexpr std::uint32_t k_most = 4096;
    void refill();
    void give_batch(std::uint32_t n);

    spawn_record* free_ = nullptr;
    std::uint32_t count_ = 0;
    bool closed_ = false;
};

// For threads without a P.
void* take_record();
void give_record(spawn_record* r);

// Unmaps what holds no record in use, but for a little.
void trim_records();
// Unmaps all of it. Only when no record is in use and every cache is drained.
void release_records();

}  // namespace pirn::rt
