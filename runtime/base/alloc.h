// SPDX-License-Identifier: MIT
// Memory for the library's own objects: the only place that names mimalloc. The user's malloc and
// operator new are never replaced.
#pragma once

#include <cstddef>
#include <new>
#include <utility>

namespace pirn::base {

// At least `size` bytes aligned to `align` (a power of two). Throws std::bad_alloc.
void* allocate(std::size_t size, std::size_t align = alignof(std::max_align_t));
// Gives back what allocate returned; nullptr is allowed. From any thread.
void deallocate(void* memory) noexcept;
// After much was given back: what the allocator holds on to goes to the kernel. Takes milliseconds.
void give_back();
// "mimalloc" or "malloc": which one serves.
const char* allocator_name();

template <class T, class... A>
T* make(A&&... args) {
    void* memory = allocate(sizeof(T), alignof(T));
    try {
        return ::new (memory) T(std::forward<A>(args)...);
    } catch (...) {
        deallocate(memory);
        throw;
    }
}

template <class T>
void destroy(T* object) noexcept {
    if (object == nullptr) return;
    object->~T();
    deallocate(object);
}

}  // namespace pirn::base
