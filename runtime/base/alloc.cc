// SPDX-License-Identifier: MIT
// mimalloc by its own names where it was found, the system's malloc elsewhere.
#include "runtime/base/alloc.h"

#ifdef PIRN_MIMALLOC
#include <mimalloc.h>
#else
#include <cstdlib>
#endif

namespace pirn::base {

#ifdef PIRN_MIMALLOC

void* allocate(std::size_t size, std::size_t align) {
    void* memory = align <= alignof(std::max_align_t) ? mi_malloc(size)
                                                      : mi_malloc_aligned(size, align);
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
}
void deallocate(void* memory) noexcept { mi_free(memory); }
void give_back() { mi_collect(true); }
const char* allocator_name() { return "mimalloc"; }

#else

void* allocate(std::size_t size, std::size_t align) {
    void* memory = nullptr;
    if (align <= alignof(std::max_align_t))
        memory = std::malloc(size);
    else if (::posix_memalign(&memory, align, size) != 0)
        memory = nullptr;
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
}
void deallocate(void* memory) noexcept { std::free(memory); }
// The heap is the whole program's: what to keep of it is not ours to say.
void give_back() {}
const char* allocator_name() { return "malloc"; }

#endif

}  // namespace pirn::base
