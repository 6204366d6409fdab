// SPDX-License-Identifier: MIT
// Asks where malloc and operator new come from in a program linked with the library: the C and
// C++ libraries must keep serving the user, and mimalloc only the library's own objects.
//
// Built three ways, by each linker there is: in the tree, and by test/install through pkg-config.
// Prints what it found; ends with status 1 if anything is not as it should be.
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>

// Declared by hand, because a program outside the tree has no private headers; the library has
// them as in runtime/base/alloc.h.
namespace pirn::base {
void* allocate(std::size_t size, std::size_t align);
void deallocate(void* memory) noexcept;
const char* allocator_name();
}  // namespace pirn::base

namespace {

int failures = 0;

void expect(bool holds, const char* what) {
    if (holds) return;
    std::printf("WRONG: %s\n", what);
    ++failures;
}

// The file name of the object that a pointer into code belongs to, "nothing" where there is none.
std::string_view object_of(void* address) {
    Dl_info info{};
    if (address == nullptr || dladdr(address, &info) == 0 || info.dli_fname == nullptr)
        return "nothing";
    const char* slash = std::strrchr(info.dli_fname, '/');
    return slash == nullptr ? info.dli_fname : slash + 1;
}

// Looks `name` up as every shared object of the process does.
void expect_from(const char* name, std::string_view object) {
    const std::string_view found = object_of(dlsym(RTLD_DEFAULT, name));
    std::printf("%s: %.*s\n", name, static_cast<int>(found.size()), found.data());
    expect(found.starts_with(object), name);
}

// Whether mimalloc says that the memory is its own.
bool is_mimallocs(void* memory) {
    const auto ask =
        reinterpret_cast<bool (*)(const void*)>(dlsym(RTLD_DEFAULT, "mi_is_in_heap_region"));
    return ask != nullptr && ask(memory);
}

}  // namespace

int main() {
    for (const char* name : {"malloc", "calloc", "realloc", "free", "posix_memalign",
                             "aligned_alloc", "malloc_usable_size"})
        expect_from(name, "libc.so");
    // operator new and delete, plain, of arrays, aligned, and nothrow, by their mangled names.
    for (const char* name : {"_Znwm", "_Znam", "_ZdlPv", "_ZdaPv", "_ZdlPvm",
                             "_ZnwmSt11align_val_t", "_ZdlPvSt11align_val_t",
                             "_ZnwmRKSt9nothrow_t"})
        expect_from(name, "libstdc++.so");

    const std::string_view served_by = pirn::base::allocator_name();
    std::printf("own objects: %.*s\n", static_cast<int>(served_by.size()), served_by.data());
    const bool with_mimalloc = served_by == "mimalloc";
#ifdef EXPECT_ALLOCATOR
    expect(served_by == EXPECT_ALLOCATOR, "the allocator that the build was told to use");
#endif
    expect_from("mi_malloc", with_mimalloc ? "libmimalloc" : "nothing");

    // What the lookups say is also what happens.
    void* plain = std::malloc(100);
    void* object = ::operator new(100);
    void* own = pirn::base::allocate(100, 16);
    void* own_aligned = pirn::base::allocate(100, 256);
    expect(!is_mimallocs(plain), "malloc's memory is not mimalloc's");
    expect(!is_mimallocs(object), "operator new's memory is not mimalloc's");
    expect(is_mimallocs(own) == with_mimalloc, "the library's own memory");
    expect(is_mimallocs(own_aligned) == with_mimalloc, "the library's own aligned memory");
    pirn::base::deallocate(own_aligned);
    pirn::base::deallocate(own);
    ::operator delete(object);
    std::free(plain);
    return failures == 0 ? 0 : 1;
}
