// SPDX-License-Identifier: MIT
// mmap, madvise and mprotect, and what this kernel makes of them.
#include "stack/map.h"

#include <cerrno>
#include <cstdint>
#include <cstdio>

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/base/atomic.h"
#include "runtime/base/check.h"
#include "runtime/base/sanitizer.h"
#include "stack/stack.h"

namespace pirn::stack {
namespace {

// Newer than this C library's headers.
constexpr int k_madv_guard_install = 102;   // Linux 6.13
constexpr int k_madv_populate_write = 23;   // Linux 5.14

struct facts {
    guard_kind kind = guard_kind::mprotect;
    bool emulated = false;
    std::size_t guards_max = 0;
};

long read_number(const char* path) {
    std::FILE* f = std::fopen(path, "re");
    if (f == nullptr) return -1;
    long n = -1;
    if (std::fscanf(f, "%ld", &n) != 1) n = -1;
    std::fclose(f);
    return n;
}

// True when the kernel refuses to read from `address`.
bool unreadable(const std::byte* address) {
    const int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) return false;
    const ssize_t n = ::write(fd, address, sizeof(std::uint64_t));
    const bool refused = n < 0 && errno == EFAULT;
    ::close(fd);
    return refused;
}

facts find_out() {
    facts f;
    std::byte* page = map_region(k_page_bytes);
    PIRN_CHECK(page != nullptr);
    const bool accepted = ::madvise(page, k_page_bytes, k_madv_guard_install) == 0;
    const bool holds = accepted && unreadable(page);
    f.kind = holds ? guard_kind::madvise : guard_kind::mprotect;
    f.emulated = accepted && !holds;
    unmap_region(page, k_page_bytes);
    if (f.kind == guard_kind::mprotect) {
        long limit = read_number("/proc/sys/vm/max_map_count");
        if (limit <= 0) limit = 65530;
        // A quarter stays with the program: libraries, threads, its own mappings.
        f.guards_max = static_cast<std::size_t>(limit) * 3 / 8;
    }
    return f;
}

const facts& kernel() {
    static const facts f = find_out();
    return f;
}

base::atomic<std::size_t> guards_installed{0};

}  // namespace

guard_kind guards() { return kernel().kind; }
bool emulated() { return kernel().emulated; }
std::size_t guards_max() { return kernel().guards_max; }

std::byte* map_region(std::size_t bytes) {
    void* start = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return start == MAP_FAILED ? nullptr : static_cast<std::byte*>(start);
}

std::byte* map_aligned(std::size_t bytes) {
    std::byte* start = map_region(2 * bytes);
    if (start == nullptr) return nullptr;
    const std::size_t past = reinterpret_cast<std::uintptr_t>(start) % bytes;
    const std::size_t before = past == 0 ? 0 : bytes - past;
    if (before != 0) unmap_region(start, before);
    unmap_region(start + before + bytes, bytes - before);
    return start + before;
}

// Both are advice: without them the pages come one by one.
void populate(std::byte* start, std::size_t bytes) {
    ::madvise(start, bytes, MADV_HUGEPAGE);
    ::madvise(start, bytes, k_madv_populate_write);
}

void drop_pages(std::byte* start, std::size_t bytes) {
    if (bytes != 0 && ::madvise(start, bytes, MADV_DONTNEED) != 0)
        base::fatalf("stack: giving pages back failed: errno %d", errno);
}

void unmap_region(std::byte* start, std::size_t bytes) {
    // Here, for whoever is given these addresses next: a region of records, the program's own mmap.
    base::san_forget_frames(start, bytes);
    if (::munmap(start, bytes) != 0) base::fatalf("stack: munmap failed: errno %d", errno);
}

bool install_guard(std::byte* start, std::size_t bytes) {
    if (kernel().kind == guard_kind::madvise)
        return ::madvise(start, bytes, k_madv_guard_install) == 0;
    // Relaxed: a budget, publishes nothing.
    if (guards_installed.fetch_add(1, std::memory_order_relaxed) >= kernel().guards_max)
        return false;
    return ::mprotect(start, bytes, PROT_NONE) == 0;
}

void forget_guards(std::size_t count) {
    if (kernel().kind == guard_kind::mprotect)
        guards_installed.fetch_sub(count, std::memory_order_relaxed);
}

}  // namespace pirn::stack
