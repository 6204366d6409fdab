// SPDX-License-Identifier: MIT
// Stacks: caches, batches, guards, sizes.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <set>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include "stack/map.h"
#include "stack/overflow.h"
#include "stack/pool.h"

using namespace pirn::stack;

namespace {

struct header : block {
    int mark = 17;
};

void use_header() {
    set_layout({sizeof(header), alignof(header),
                [](void* at) -> block* { return ::new (at) header; }});
}

std::size_t count_blocks() {
    std::size_t n = 0;
    for_each_block([](block*, void* arg) { ++*static_cast<std::size_t*>(arg); }, &n);
    return n;
}

// How the process ends that runs f.
template <class F>
int status_of(F f) {
    const pid_t child = ::fork();
    if (child == 0) {
        // A sanitizer's own handler would end it in another way.
        std::signal(SIGSEGV, SIG_DFL);
        f();
        ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return status;
}

}  // namespace

TEST_CASE("a block is writable from its lowest byte to its header") {
    use_header();
    cache c;
    block* b = c.get(1);
    CHECK(b->bytes() == k_large_bytes);
    CHECK(static_cast<header*>(b)->mark == 17);
    CHECK(b->hi() - b->lo > static_cast<std::ptrdiff_t>(k_large_bytes - 4096));
    CHECK(b->in_use == 1);
    std::fill(b->lo, b->hi(), std::byte{0x5a});
    CHECK(*(b->hi() - 1) == std::byte{0x5a});
    c.put(b);
    CHECK(b->in_use == 0);
    c.drain();
    release_all();
}

TEST_CASE("below a block is a guard that faults") {
    use_header();
    cache c;
    block* b = c.get(1);
    for (const std::size_t below : {std::size_t{1}, k_guard_bytes}) {
        CHECK(overflows(b->lo, b->lo - below, b->lo));
        const int status = status_of([&] { *(b->lo - below) = std::byte{1}; });
        CHECK(WIFSIGNALED(status));
        CHECK(WTERMSIG(status) == SIGSEGV);
    }
    CHECK(!overflows(b->lo, b->lo, b->lo));
    CHECK(!overflows(b->lo, b->lo - k_guard_bytes - 1, b->lo));
    // A frame that is larger than the guard.
    CHECK(overflows(b->lo, b->lo - k_guard_bytes - 1, b->lo - k_guard_bytes - 1000));
    CHECK(!overflows(b->lo, nullptr, b->lo - k_guard_bytes - 1000));
    c.put(b);
    c.drain();
    release_all();
}

TEST_CASE("blocks are reused newest first and never handed out twice") {
    use_header();
    cache c;
    std::set<block*> out;
    std::vector<block*> order;
    for (int i = 0; i < 1000; ++i) {
        block* b = c.get(1);
        REQUIRE(out.insert(b).second);
        order.push_back(b);
    }
    c.put(order[3]);
    c.put(order[5]);
    CHECK(c.get(1) == order[5]);
    CHECK(c.get(1) == order[3]);
    for (block* b : order) c.put(b);
    const std::size_t before = count_blocks();
    CHECK(c.count() <= 2 * k_batch);
    for (int i = 0; i < 1000; ++i) REQUIRE(c.get(1)->in_use == 1);
    CHECK(count_blocks() == before);
    for (block* b : order) c.put(b);
    c.drain();
    CHECK(c.count() == 0);
    release_all();
    CHECK(count_blocks() == 0);
}

TEST_CASE("headers are staggered over cache lines") {
    use_header();
    cache c;
    std::set<std::uintptr_t> offsets;
    std::vector<block*> out;
    for (int i = 0; i < 64; ++i) {
        out.push_back(c.get(1));
        offsets.insert(reinterpret_cast<std::uintptr_t>(out.back()) % k_page_bytes);
    }
    CHECK(offsets.size() == k_colours);
    for (block* b : out) c.put(b);
    c.drain();
    release_all();
}

TEST_CASE("a larger size is at least what was asked for, and is kept apart") {
    use_header();
    cache c;
    block* b = c.get(large_class(k_large_bytes + 1));
    CHECK(b->bytes() == 2 * k_large_bytes);
    block* big = c.get(large_class(3u << 20));
    CHECK(big->bytes() == 4u << 20);
    *big->lo = std::byte{1};
    c.put(b);
    CHECK(c.count() == 0);
    CHECK(c.get(large_class(2 * k_large_bytes)) == b);
    c.put(b);
    c.put(big);
    c.drain();
    release_all();
}

TEST_CASE("small blocks lie side by side, and their headers spread over the cache sets") {
    use_header();
    cache c;
    std::vector<block*> out;
    std::set<std::uintptr_t> sets;
    for (int i = 0; i < 64; ++i) {
        out.push_back(c.get(0));
        sets.insert(reinterpret_cast<std::uintptr_t>(out.back()) / 64 % 64);
        CHECK(out.back()->bytes() == k_small_bytes);
        CHECK(out.back()->hi() + sizeof(header) == out.back()->lo + k_small_bytes);
        if (i > 0) CHECK(out[i]->lo == out[i - 1]->lo + k_small_bytes);
    }
    CHECK(sets.size() > 60);
    for (block* b : out) c.put(b);
    c.drain();
    release_all();
}

TEST_CASE("a peak of small blocks is unmapped once it is over, whatever the order") {
    use_header();
    cache c;
    std::vector<block*> out;
    for (int i = 0; i < 20'000; ++i) out.push_back(c.get(0));
    const std::size_t peak = stats().mapped_bytes;
    CHECK(peak >= 20'000 * k_small_bytes);
    CHECK(!has_surplus());
    // Every 17th first, so that all regions have both kinds for a while.
    for (int phase = 0; phase < 17; ++phase) {
        for (std::size_t i = static_cast<std::size_t>(phase); i < out.size(); i += 17)
            c.put(out[i]);
    }
    CHECK(has_surplus());
    c.drain();
    CHECK(trim());
    CHECK(!has_surplus());
    CHECK(stats().mapped_bytes <= 2 << 20);
    CHECK(!trim());
    // What is needed next comes from what is left, the lowest region.
    const std::size_t before = stats().mapped_bytes;
    block* b = c.get(0);
    CHECK(stats().mapped_bytes == before);
    c.put(b);
    c.drain();
    release_all();
    CHECK(stats().mapped_bytes == 0);
}

TEST_CASE("blocks are handed out from the lowest region, so that the others can empty themselves") {
    use_header();
    cache c;
    std::vector<block*> out;
    for (int i = 0; i < 5000; ++i) out.push_back(c.get(0));
    // Half of each region is given back; as many are taken again, and the last region is left.
    for (std::size_t i = 0; i < out.size(); i += 2) c.put(out[i]);
    c.drain();
    std::uint32_t highest = 0;
    for (int i = 0; i < 500; ++i) highest = std::max(highest, c.get(0)->region);
    CHECK(highest == 0);
    release_all();
}

TEST_CASE("blocks that move between caches do not make the pool grow") {
    use_header();
    cache from, to;
    for (int round = 0; round < 200; ++round) {
        std::vector<block*> out;
        for (int i = 0; i < 100; ++i) out.push_back(from.get(1));
        for (block* b : out) to.put(b);
    }
    // A round's worth and what two caches may keep.
    CHECK(stats().blocks <= 100 + 6 * k_batch + 8);
    from.drain();
    to.drain();
    release_all();
}

TEST_CASE("caches of several threads share the global list") {
    use_header();
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([] {
            cache c;
            for (int round = 0; round < 300; ++round) {
                std::vector<block*> out;
                for (int i = 0; i < 70; ++i) out.push_back(c.get(1));
                for (block* b : out) *(b->hi() - 1) = std::byte{1};
                for (block* b : out) c.put(b);
            }
            c.drain();
        });
    }
    for (auto& t : threads) t.join();
    CHECK(stats().blocks <= 4 * (70 + 3 * k_batch + 8));
    release_all();
    CHECK(stats().mapped_bytes == 0);
}

TEST_CASE("more mprotect guards than fit are refused with a clear message") {
    if (guards() == guard_kind::madvise) {
        CHECK(guards_max() == 0);
        return;
    }
    CHECK(guards_max() > 1000);
    CHECK(blocks_max() == guards_max());
}
