// SPDX-License-Identifier: MIT
// High-water marks by painting: what of a block is not as it was before is what was used; what lies
// on segments is counted as the hops are made.
#include "runtime/stackstat.h"

#include <algorithm>
#include <cstring>

#include "runtime/base/check.h"
#include "runtime/lock.h"
#include "runtime/settings.h"
#include "runtime/symbol.h"
#include "stack/map.h"

namespace pirn::rt {

bool stackstat_on = false;

namespace {

constexpr unsigned char k_paint = 0xa5;
constexpr std::size_t k_entries = 1024;

struct mark {
    const void* entry = nullptr;
    std::uint64_t goroutines = 0;
    std::size_t most = 0;
};

struct table {
    lock mu{lock_rank::leaf};
    // Guarded by mu.
    mark marks[k_entries];
    std::size_t count = 0;
    std::uint64_t dropped = 0;   // goroutines of more entry functions than fit
};
table& the() {
    static table t;
    return t;
}

// Bytes of the block that have been used. A large block's pages were given back before, which makes
// them zero; painting them would make them resident.
std::size_t used_on_block(g* gp) {
    const auto paint = static_cast<std::byte>(gp->size_class == 0 ? k_paint : 0);
    const std::byte* from = gp->lo + (gp->size_class == 0 ? sizeof(stack::k_canary) : 0);
    const std::byte* lowest = std::find_if(from, static_cast<const std::byte*>(gp->hi()),
                                           [paint](std::byte b) { return b != paint; });
    return static_cast<std::size_t>(gp->hi() - lowest) + sizeof(g);
}

}  // namespace

void start_stackstat() {
    const std::string_view set = debug_setting("stackstat");
    stackstat_on = !set.empty() && set != "0";
    lock_guard hold(the().mu);
    the().count = 0;
    the().dropped = 0;
}

void stackstat_begin(g* gp) {
    gp->high_water = 0;
    if (gp->size_class == 0) {
        std::memset(gp->lo, k_paint, static_cast<std::size_t>(gp->hi() - gp->lo));
        return;
    }
    const std::size_t whole = static_cast<std::size_t>(gp->hi() - gp->lo) / stack::k_page_bytes
                              * stack::k_page_bytes;
    stack::drop_pages(gp->lo, whole);
    std::memset(gp->lo + whole, 0, static_cast<std::size_t>(gp->hi() - gp->lo) - whole);
}

void stackstat_end(g* gp) {
    const std::size_t most = std::max(gp->high_water, used_on_block(gp));
    table& t = the();
    lock_guard hold(t.mu);
    mark* end = t.marks + t.count;
    mark* m = std::find_if(t.marks, end, [gp](const mark& x) { return x.entry == gp->entry; });
    if (m == end) {
        if (t.count == k_entries) {
            ++t.dropped;
            return;
        }
        ++t.count;
        *m = {};
        m->entry = gp->entry;
    }
    ++m->goroutines;
    if (most > m->most) m->most = most;
}

void report_stackstat() {
    table& t = the();
    std::sort(t.marks, t.marks + t.count,
              [](const mark& a, const mark& b) { return a.most > b.most; });
    base::report("stackstat: most bytes of stack, goroutines, entry function\n");
    for (std::size_t i = 0; i < t.count; ++i) {
        const mark& m = t.marks[i];
        char name[512];
        describe_address(m.entry, name, sizeof name);
        base::report("stackstat: %8zu %8lu %s\n", m.most,
                     static_cast<unsigned long>(m.goroutines), name);
    }
    if (t.dropped != 0)
        base::report("stackstat: and %lu goroutines of further entry functions, for which there is "
                     "no room\n",
                     static_cast<unsigned long>(t.dropped));
}

}  // namespace pirn::rt
