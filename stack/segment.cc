// SPDX-License-Identifier: MIT
// The free segments and the making of new ones.
#include "stack/segment.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <mutex>

#include "runtime/base/check.h"
#include "runtime/base/clock.h"
#include "stack/map.h"
#include "stack/overflow.h"

namespace pirn::stack {
namespace {

using arch::segment;

constexpr unsigned k_segment_classes = 24;
// What a hop may lose to keep the stack pointer's place in a cache line, and what it pushes.
constexpr std::size_t k_hop_bytes = 192;

// Guarded by `mutex`, which is taken only where a thread's cache has nothing that fits.
struct global {
    std::mutex mutex;
    segment* free = nullptr;        // of the first size, their pages given back
    unsigned free_count = 0;
    std::size_t made = 0;           // ever, for the colours
    segment_stats counts{};
    // Written at the start of a run only.
    growth_options options{.max_bytes = 256u << 20};
};

global& the() {
    static global* const g = new global;  // never destroyed: Ms may end after static destructors
    return *g;
}

constexpr std::size_t segment_bytes(unsigned c) { return k_large_bytes << c; }

std::byte* low_end(const segment* s) {
    return reinterpret_cast<std::byte*>(s->limit) - arch::k_reserve_bytes;
}

// A colour is less than the smallest size, so the size is the next power of two.
std::size_t size_of(const segment* s) {
    return std::bit_ceil(
        static_cast<std::size_t>(reinterpret_cast<const std::byte*>(s + 1) - low_end(s)));
}

// The smallest class whose room is `bytes`, not below `at_least`.
unsigned class_for(std::size_t bytes, std::size_t at_least) {
    unsigned c = 0;
    while (segment_bytes(c) < at_least ||
           segment_bytes(c) - k_colours * k_colour_bytes - sizeof(segment) -
                   arch::k_reserve_bytes - k_hop_bytes <
               bytes) {
        if (++c == k_segment_classes) base::fatalf("stack: a frame of %zu bytes", bytes);
    }
    return c;
}

// `mutex` is held.
segment* make_segment(unsigned c) {
    global& g = the();
    const std::size_t size = segment_bytes(c);
    std::byte* start = map_region(k_guard_bytes + size);
    if (start == nullptr || !install_guard(start, k_guard_bytes)) {
        const int error = errno;
        g.mutex.unlock();
        base::fatalf("out of memory for growing a goroutine's stack: %s failed with errno %d after "
                     "%zu segments",
                     start == nullptr ? "mmap" : "a guard", error, g.counts.segments);
    }
    const std::size_t colour = g.made++ * 5 % k_colours * k_colour_bytes;
    std::byte* lo = start + k_guard_bytes;
    auto* s = ::new (lo + size - colour - sizeof(segment)) segment;
    s->limit = reinterpret_cast<std::uintptr_t>(lo) + arch::k_reserve_bytes;
    ++g.counts.segments;
    g.counts.mapped_bytes += k_guard_bytes + size;
    return s;
}

// `mutex` is held.
void unmap_segment(segment* s) {
    global& g = the();
    const std::size_t bytes = k_guard_bytes + size_of(s);
    --g.counts.segments;
    g.counts.mapped_bytes -= bytes;
    unmap_region(low_end(s) - k_guard_bytes, bytes);
    forget_guards(1);
}

// `mutex` is held.
void give_segment(segment* s) {
    global& g = the();
    if (size_of(s) != segment_bytes(0) || g.free_count >= k_spare_segments) {
        unmap_segment(s);
        return;
    }
    // Its page at the top stays: the header is there.
    auto* page = reinterpret_cast<std::byte*>(reinterpret_cast<std::uintptr_t>(s) /
                                              k_page_bytes * k_page_bytes);
    drop_pages(low_end(s), static_cast<std::size_t>(page - low_end(s)));
    s->next = g.free;
    g.free = s;
    ++g.free_count;
}

std::size_t room_of(const segment* s) {
    return reinterpret_cast<std::uintptr_t>(s) - s->limit - k_hop_bytes;
}

// Takes one with room for `bytes` out of the thread's cache.
segment* take_cached(thread& t, std::size_t bytes) {
    for (segment** at = &t.segments; *at != nullptr; at = &(*at)->next) {
        segment* s = *at;
        if (room_of(s) < bytes) continue;
        *at = s->next;
        return s;
    }
    return nullptr;
}

// From the free ones or from the kernel. Fatal where the stack may not grow that far, but for a hop
// that is made only because the goroutine was asked to give way: it may have room enough.
segment* take_new(const block& b, std::size_t bytes, bool asked) {
    global& g = the();
#ifdef PIRN_PERTURB
    // Every call hops: segments stay small, and as many as there are calls. Their list is too long
    // to be walked; so all there are count, each for the little that a call takes.
    constexpr bool k_doubling = false;
    constexpr std::size_t k_call_bytes = 2048;
    const std::size_t most = g.options.max_bytes;
    const std::size_t before = stats_of_segments().segments * k_call_bytes;
#else
    constexpr bool k_doubling = true;
    const std::size_t most = g.options.max_bytes;
    const std::size_t before = extent_of(b).bytes;
#endif
    // The next is twice the last, while that is allowed; at least what is needed.
    std::size_t wanted = b.hops == nullptr || !k_doubling ? segment_bytes(0) : 2 * size_of(b.hops);
    if (before + wanted > most) wanted = segment_bytes(0);
    const unsigned c = class_for(bytes, wanted);
    if (!asked && before + segment_bytes(c) > most && before + bytes > most)
        report_exceeded(b, bytes);
    std::lock_guard hold(g.mutex);
    segment* s = g.free;
    if (c != 0 || s == nullptr) return make_segment(c);
    g.free = s->next;
    --g.free_count;
    return s;
}

// hops_left has run out: k_hops_between_looks are over, or k_hops_between_samples while they come
// so fast that it is worth while to see whether one call makes most of them.
void look_at_hops(thread& t, const void* site) {
    constexpr std::uint64_t k_hops_between_looks = 1'000'000;
    constexpr std::uint64_t k_hops_between_samples = 997;
    constexpr unsigned k_samples = 16;
    constexpr unsigned k_most = 12;
    const std::int64_t now = base::now_ns();
    const bool fast = now - t.looked_ns < 1'000'000'000;
    const bool sampling = t.samples != 0;
    const double per_second = 1e9 * static_cast<double>(k_hops_between_looks) /
                              static_cast<double>(now - t.looked_ns + 1);
    std::uint64_t next = k_hops_between_looks;
    if (sampling) {
        t.repeats = site == t.suspect ? t.repeats + 1 : 0;
        t.suspect = site;
        if (t.repeats >= k_most && the().options.on_hot_call != nullptr) {
            the().options.on_hot_call(site, t.per_second);
            t.samples = 1;
            t.repeats = 0;
        }
        if (--t.samples != 0) next = k_hops_between_samples;
    } else if (t.looked_ns != 0 && fast) {
        t.per_second = per_second;
        t.samples = k_samples;
        t.repeats = 0;
        next = k_hops_between_samples;
    }
    t.looked_ns = now;
    // Relaxed: a statistic.
    t.hops.store(hops_of(t), std::memory_order_relaxed);
    t.granted = next;
    t.hops_left.store(next, std::memory_order_relaxed);
}

void add_segment(std::size_t bytes, const void* site, const void* callee) {
    auto& t = static_cast<thread&>(*arch::__pirn_thread);
    auto& b = static_cast<block&>(*t.running.get());
    const bool asked = t.asked_to_give_way;
    if (asked) {
        t.asked_to_give_way = false;
        the().options.on_give_way(site, callee);
    }
    constexpr std::uint64_t k_run_out = ~std::uint64_t{0};
    if (t.hops_left.load(std::memory_order_relaxed) == k_run_out) {
        look_at_hops(t, site);
    } else {
        t.hops.store(t.hops.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
    if (the().options.see_every_hop)
        b.high_water = std::max(b.high_water, extent_of(b).bytes + bytes);
    segment* s = take_cached(t, bytes);
    if (s == nullptr) {
        auto* const on_growing = the().options.on_growing;
        if (on_growing != nullptr) on_growing(b, true);
        s = take_new(b, bytes, asked);
        if (on_growing != nullptr) on_growing(b, false);
    }
    // Without room in sight, the next hop comes here as well.
    s->room = the().options.see_every_hop ? 0 : room_of(s);
    s->next = t.segments;
    t.segments = s;
}

}  // namespace

std::uint64_t hops_of(const thread& t) {
    const std::uint64_t left = t.hops_left.load(std::memory_order_relaxed);
    return t.hops.load(std::memory_order_relaxed) + (t.granted - left);
}

void prepare_segments(const growth_options& o) {
    the().options = o;
    arch::__pirn_add_segment = add_segment;
    arch::__pirn_alloca_report = [](const void* sp) {
        const auto* b = static_cast<const block*>(arch::__pirn_thread->running.get());
        report_alloca(*b, static_cast<std::size_t>(lowest(*b) - static_cast<const std::byte*>(sp)));
    };
}
std::size_t max_bytes() { return the().options.max_bytes; }

void trim_segments(thread& t, unsigned keep) {
    segment** at = &t.segments;
    for (unsigned kept = 0; *at != nullptr && kept < keep; ++kept) at = &(*at)->next;
    if (*at == nullptr) return;
    std::lock_guard hold(the().mutex);
    while (segment* s = *at) {
        *at = s->next;
        give_segment(s);
    }
}

extent extent_of(const block& b) {
    extent e{b.bytes(), 0};
    for (const segment* s = b.hops; s != nullptr; s = s->below) {
        e.bytes += size_of(s);
        ++e.segments;
    }
    return e;
}

segment_stats stats_of_segments() {
    std::lock_guard hold(the().mutex);
    return the().counts;
}

void drop_segments(arch::growth& g) {
    std::lock_guard hold(the().mutex);
    while (segment* s = g.hops) {
        g.hops = s->below;
        unmap_segment(s);
    }
}

void forget_segments() {
    global& g = the();
    const growth_options options = g.options;
    ::new (&g) global;
    g.options = options;
}

void release_segments() {
    global& g = the();
    std::lock_guard hold(g.mutex);
    while (segment* s = g.free) {
        g.free = s->next;
        unmap_segment(s);
    }
    g.free_count = 0;
}

}  // namespace pirn::stack
