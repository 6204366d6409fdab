// SPDX-License-Identifier: MIT
// Segments: sizes, the limit, what a thread keeps and what goes back to the kernel.
#include <catch2/catch.hpp>

#include <cstring>
#include <new>
#include <vector>

#include <sys/mman.h>

#include "stack/pool.h"
#include "stack/segment.h"

using namespace pirn;
using namespace pirn::stack;

namespace {

constexpr std::size_t k_max_bytes = 8 << 20;

// A goroutine as far as segments know it, on the calling thread.
class fake {
  public:
    explicit fake(std::size_t max_bytes = k_max_bytes, bool see_every_hop = false) {
        set_layout({sizeof(block), alignof(block),
                    [](void* at) -> block* { return ::new (at) block; }});
        prepare_segments({.max_bytes = max_bytes, .see_every_hop = see_every_hop});
        b = blocks.get(0);
        t.running = b;
        arch::__pirn_thread = &t;
    }
    ~fake() {
        while (b->hops != nullptr) come_back();
        trim_segments(t, 0);
        release_segments();
        CHECK(stats_of_segments().segments == 0);
        arch::__pirn_thread = nullptr;
        blocks.put(b);
        blocks.drain();
        release_all();
    }

    // As morestack does it.
    arch::segment* hop(std::size_t bytes) {
        if (t.segments == nullptr || t.segments->room < bytes)
            arch::__pirn_add_segment(bytes, nullptr, nullptr);
        arch::segment* s = t.segments;
        t.segments = s->next;
        s->limit_before = b->limit;
        s->below = b->hops;
        b->hops = s;
        b->limit = s->limit;
        return s;
    }
    void come_back() {
        arch::segment* s = b->hops;
        b->hops = s->below;
        b->limit = s->limit_before;
        s->next = t.segments;
        t.segments = s;
    }

    thread t;
    cache blocks;
    block* b;
};

unsigned length(const arch::segment* s) {
    unsigned n = 0;
    for (; s != nullptr; s = s->next) ++n;
    return n;
}

std::byte* low_end(const arch::segment* s) {
    return reinterpret_cast<std::byte*>(s->limit) - arch::k_reserve_bytes;
}

// Resident pages in [from, from + bytes).
std::size_t resident(std::byte* from, std::size_t bytes) {
    std::vector<unsigned char> pages(bytes / k_page_bytes);
    if (::mincore(from, bytes, pages.data()) != 0) return 0;
    std::size_t n = 0;
    for (const unsigned char p : pages) n += p & 1;
    return n;
}

}  // namespace

TEST_CASE("a segment has the room it says, from its limit to its record") {
    fake f;
    arch::segment* s = f.hop(1000);
    CHECK(s->room > k_large_bytes - 8192);
    CHECK(reinterpret_cast<std::uintptr_t>(s) - s->limit >= s->room);
    std::memset(low_end(s), 0x5a, s->room + arch::k_reserve_bytes);
}

#ifndef PIRN_PERTURB
TEST_CASE("each further segment is twice the one before") {
    fake f;
    std::size_t before = 0;
    for (int i = 0; i < 4; ++i) {
        const arch::segment* s = f.hop(1000);
        if (before != 0) CHECK(s->room > 2 * before - 8192);
        before = s->room;
    }
    CHECK(extent_of(*f.b).segments == 4);
    CHECK(extent_of(*f.b).bytes == k_small_bytes + 15 * k_large_bytes);
}

TEST_CASE("near the limit of a stack segments are small again, and a large need has a large one") {
    fake f;
    CHECK(f.hop(3 << 20)->room >= 3 << 20);
    f.hop(1000);  // 8 MB would be too many
    CHECK(extent_of(*f.b).bytes < k_max_bytes);
    CHECK(extent_of(*f.b).segments == 2);
}
#endif

TEST_CASE("a segment that has been left is taken again, the newest first") {
    fake f;
    arch::segment* s = f.hop(1000);
    f.come_back();
    CHECK(f.hop(1000) == s);
    CHECK(stats_of_segments().segments == 1);
}

TEST_CASE("a cached segment that is too small is passed over") {
    fake f;
    arch::segment* small = f.hop(1000);
    f.come_back();
    arch::segment* large = f.hop(2 << 20);
    CHECK(large != small);
    f.come_back();
    CHECK(length(f.t.segments) == 2);
}

TEST_CASE("a thread keeps so many segments, the others' pages go back to the kernel") {
    fake f;
    std::vector<arch::segment*> deep;
    for (int i = 0; i < 3; ++i) deep.push_back(f.hop(1000));
    for (const arch::segment* s : deep) std::memset(low_end(s), 1, s->room);
    for (int i = 0; i < 3; ++i) f.come_back();
    CHECK(length(f.t.segments) == 3);
    trim_segments(f.t, 1);
    REQUIRE(length(f.t.segments) == 1);
    // The first, which was left last, is the one that stays, as it is.
    CHECK(f.t.segments == deep[0]);
    CHECK(resident(low_end(deep[0]), k_large_bytes) == k_large_bytes / k_page_bytes);
    trim_segments(f.t, 0);
    CHECK(f.t.segments == nullptr);
    // Of the first size it stays mapped, but for its header's page without memory.
    CHECK(resident(low_end(deep[0]), k_large_bytes) == 1);
}

TEST_CASE("spare segments are bounded") {
    fake f(std::size_t{1} << 30);
    std::vector<arch::segment*> all;
    for (unsigned i = 0; i < k_spare_segments + 20; ++i) {
        f.hop(1000);
        // Another goroutine's, so that it is of the first size.
        all.push_back(f.b->hops);
        f.b->hops = nullptr;
    }
    for (arch::segment* s : all) {
        s->next = f.t.segments;
        f.t.segments = s;
    }
    trim_segments(f.t, 0);
    CHECK(stats_of_segments().segments == k_spare_segments);
}

TEST_CASE("where every hop is to be seen, the fast path finds no room") {
    fake f(k_max_bytes, true);
    f.hop(1000);
    CHECK(f.b->hops->room == 0);
    f.come_back();
    f.hop(1000);
    CHECK(stats_of_segments().segments == 1);
    CHECK(f.b->high_water >= k_small_bytes + 1000);
}
