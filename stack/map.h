// SPDX-License-Identifier: MIT
// The only memory system calls: regions of address space and the guards in them.
#pragma once

#include <cstddef>

namespace pirn::stack {

// How guards are made on this kernel. Found out once, by a write(2) from a trial guard that must
// fail with EFAULT: an emulator may accept the madvise and install nothing.
enum class guard_kind {
    madvise,   // MADV_GUARD_INSTALL: costs no mapping
    mprotect,  // two mappings each: counts against vm.max_map_count
};
guard_kind guards();
// True where the guard madvise was accepted but does not hold: the mark of a user-mode emulator.
bool emulated();

// How many guards fit beside what the process has mapped; 0: no limit. With mprotect a guard
// splits its mapping in two, so this is about half of vm.max_map_count.
std::size_t guards_max();

// Fresh zero pages, lazily committed. nullptr: refused by the kernel (errno says why).
std::byte* map_region(std::size_t bytes);
// As map_region, aligned to `bytes`, a power of two.
std::byte* map_aligned(std::size_t bytes);
void unmap_region(std::byte* start, std::size_t bytes);
// Faults the pages in at once, as huge ones where the kernel has them for who asks.
void populate(std::byte* start, std::size_t bytes);
// Gives the pages back to the kernel; they read as zero afterwards. Page-aligned.
void drop_pages(std::byte* start, std::size_t bytes);
// `count` guards went away with an unmapped region.
void forget_guards(std::size_t count);

// Makes [start, start + bytes) inaccessible; both page-aligned. False: no more guards fit.
bool install_guard(std::byte* start, std::size_t bytes);

}  // namespace pirn::stack
