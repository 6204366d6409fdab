// SPDX-License-Identifier: MIT
// The only mention of sanitizers: tells ASan and TSan that a thread goes on on another stack.
#pragma once

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#define PIRN_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PIRN_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define PIRN_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define PIRN_TSAN 1
#endif
#endif

#ifdef PIRN_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef PIRN_TSAN
#include <sanitizer/tsan_interface.h>
#endif

namespace pirn::base {

#ifdef PIRN_TSAN
inline constexpr bool k_under_tsan = true;
#else
inline constexpr bool k_under_tsan = false;
#endif

// What a sanitizer knows of one stack; empty in other builds.
struct san_fiber {
#ifdef PIRN_ASAN
    void* fake_stack = nullptr;
    const void* bottom = nullptr;
    std::size_t size = 0;
#endif
#ifdef PIRN_TSAN
    void* fiber = nullptr;
#endif
};

// Memory that was a stack and is something else from here on: frames that were left without
// returning have marked parts of it as not to be touched.
inline void san_forget_frames([[maybe_unused]] const void* start,
                              [[maybe_unused]] std::size_t bytes) {
#ifdef PIRN_ASAN
    __asan_unpoison_memory_region(start, bytes);
#endif
}
// The stack of the calling thread itself.
inline void san_adopt_thread([[maybe_unused]] san_fiber& f) {
#ifdef PIRN_TSAN
    f.fiber = __tsan_get_current_fiber();
#endif
}
// A new goroutine's stack [bottom, bottom + size).
inline void san_create([[maybe_unused]] san_fiber& f, [[maybe_unused]] const void* bottom,
                       [[maybe_unused]] std::size_t size) {
#ifdef PIRN_ASAN
    f.bottom = bottom;
    f.size = size;
    f.fake_stack = nullptr;
#endif
    san_forget_frames(bottom, size);
#ifdef PIRN_TSAN
    if (f.fiber == nullptr) f.fiber = __tsan_create_fiber(0);
#endif
}
// The stack will not run again; called from another one.
inline void san_destroy([[maybe_unused]] san_fiber& f) {
#ifdef PIRN_TSAN
    if (f.fiber != nullptr) __tsan_destroy_fiber(f.fiber);
    f.fiber = nullptr;
#endif
}
// Right before a switch away from `from` (leaves for good: `ends`) to `to`.
inline void san_switch_begin([[maybe_unused]] san_fiber& from, [[maybe_unused]] san_fiber& to,
                             [[maybe_unused]] bool ends) {
#ifdef PIRN_ASAN
    __sanitizer_start_switch_fiber(ends ? nullptr : &from.fake_stack, to.bottom, to.size);
#endif
#ifdef PIRN_TSAN
    // Flag 0: the switch itself synchronizes, as a context switch on one thread does.
    __tsan_switch_to_fiber(to.fiber, 0);
#endif
}
// Right after arriving on `self`; `from` is the stack left behind, whose bounds ASan tells when
// it was the thread's own.
inline void san_switch_end([[maybe_unused]] san_fiber& self, [[maybe_unused]] san_fiber* from) {
#ifdef PIRN_ASAN
    const void* bottom = nullptr;
    std::size_t size = 0;
    __sanitizer_finish_switch_fiber(self.fake_stack, &bottom, &size);
    if (from != nullptr && from->bottom == nullptr) {
        from->bottom = bottom;
        from->size = size;
    }
#endif
}

}  // namespace pirn::base
