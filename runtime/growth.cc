// SPDX-License-Identifier: MIT
// The start-up checks behind growing stacks, and the measuring of what malloc needs.
#include "runtime/growth.h"

#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>

#include <dlfcn.h>
#include <elf.h>
#include <link.h>

#include "runtime/base/alloc.h"
#include "runtime/base/check.h"
#include "stack/pool.h"

// This program's own dynamic section; none in a static one.
#pragma weak _DYNAMIC
// libgcc's growth of split stacks.
extern "C" [[gnu::weak]] void __morestack();

namespace pirn::rt {
namespace {

// What libc's allocation is given, and what an allocator that nobody has measured is.
constexpr std::size_t k_allocation_need_bytes = PIRN_ALLOCATION_NEED_BYTES;
constexpr std::size_t k_foreign_allocator_need_bytes = 16 << 10;
// Of what is usable at the limit, what an allocation may use.
constexpr std::size_t k_reserve_for_calls_bytes = 384;

// Whether the program's functions are bound when it starts: binding one at its first call takes
// kilobytes of stack, at a place where nobody has looked whether they are there.
bool binds_at_start() {
    const ElfW(Dyn)* volatile section = _DYNAMIC;
    if (section == nullptr) return true;
    const char* now = std::getenv("LD_BIND_NOW");
    if (now != nullptr && *now != '\0') return true;
    bool has_slots = false;
    for (const ElfW(Dyn)* d = section; d->d_tag != DT_NULL; ++d) {
        if (d->d_tag == DT_BIND_NOW) return true;
        if (d->d_tag == DT_FLAGS && (d->d_un.d_val & DF_BIND_NOW) != 0) return true;
        if (d->d_tag == DT_FLAGS_1 && (d->d_un.d_val & DF_1_NOW) != 0) return true;
        if (d->d_tag == DT_PLTRELSZ && d->d_un.d_val != 0) has_slots = true;
    }
    return !has_slots;
}

// The library that a function is in.
const void* home_of(void* function) {
    Dl_info info;
    return ::dladdr(function, &info) != 0 ? info.dli_fbase : nullptr;
}

// Where stacks do not grow, none is small, and what an allocation takes does not matter.
#if defined(PIRN_CHECKS) && defined(PIRN_SPLIT)
#define PIRN_MEASURES_ALLOCATION 1

// Runs f on a stack that is painted first; how much of it was used.
template <class F>
std::size_t stack_used_by(F f) {
    constexpr std::size_t k_bytes = 64 << 10;
    constexpr unsigned char k_paint = 0xa5;
    auto* paint = static_cast<unsigned char*>(base::allocate(k_bytes));
    std::memset(paint, k_paint, k_bytes);
    arch::call_on(paint + k_bytes,
                  [](void* arg) -> void* {
                      (*static_cast<F*>(arg))();
                      return nullptr;
                  },
                  &f);
    std::size_t untouched = 0;
    while (untouched < k_bytes && paint[untouched] == k_paint) ++untouched;
    base::deallocate(paint);
    return k_bytes - untouched;
}

#endif

// Calls malloc and its kin, once each. The first round also binds what a library binds lazily.
void allocate_once(std::size_t bytes) {
    void* volatile p = ::operator new(bytes);
    ::operator delete(p);
    p = ::operator new(bytes);
    ::operator delete(p, bytes);
    p = ::operator new[](bytes);
    ::operator delete[](p);
    p = ::operator new[](bytes);
    ::operator delete[](p, bytes);
    p = std::malloc(bytes);
    p = std::realloc(p, 2 * bytes);
    std::free(p);
    p = std::calloc(1, bytes);
    std::free(p);
}

void look_at_allocator() {
    const bool is_libcs = home_of(reinterpret_cast<void*>(&std::malloc)) ==
                          home_of(reinterpret_cast<void*>(&std::atol));
    const std::size_t need = is_libcs ? k_allocation_need_bytes : k_foreign_allocator_need_bytes;
    allocate_once(1);
#ifdef PIRN_MEASURES_ALLOCATION
    for (const std::size_t bytes : {16u, 1000u, 100'000u}) {
        const std::size_t used = stack_used_by([bytes] { allocate_once(bytes); });
        if (used > need)
            base::fatalf("stack: allocating %zu bytes takes %zu bytes of stack, and %zu are given",
                         bytes, used, need);
    }
#endif
    arch::__pirn_allocation_bytes = need - k_reserve_for_calls_bytes;
    using allocating = void*(std::size_t);
    const void* home = home_of(reinterpret_cast<void*>(static_cast<allocating*>(&::operator new)));
    arch::__pirn_new_is_malloc =
        home != nullptr && home == home_of(reinterpret_cast<void*>(&std::terminate));
}

// libgcc's split stacks use the same word of the thread.
void check_for_split_stacks() {
    if (&__morestack != nullptr)
        base::fatal("this program links libgcc's __morestack (code compiled with -fsplit-stack), "
                    "which uses the same word of the thread: compile it without -fsplit-stack");
}

[[noreturn]] void limit_is_taken() {
    check_for_split_stacks();
    base::fatal("the word of the thread's control block that limits the stack is not 0: some other "
                "code uses it (another runtime with split stacks?)");
}

}  // namespace

void look_at_process() {
    if (arch::shadow_stack_is_on())
        base::fatal("the kernel keeps a shadow stack for this process (CET SHSTK or GCS), which "
                    "cannot follow goroutines: run it without, for example with "
                    "GLIBC_TUNABLES=glibc.cpu.x86_shstk=off or glibc.cpu.aarch64_gcs=0");
    check_for_split_stacks();
    if (!binds_at_start())
        stack::forbid_small("this program binds functions at their first call, for which a small "
                            "stack has no room: link it with -Wl,-z,now (pkg-config --libs pirn "
                            "has it), or run it with LD_BIND_NOW=1");
    look_at_allocator();
}

void look_at_thread() {
    if (arch::limit() != 0) limit_is_taken();
}

}  // namespace pirn::rt

// Reached by the first check of the stack on such a thread, which may come before any of the above.
extern "C" void __pirn_stray_limit() { pirn::rt::limit_is_taken(); }
