// SPDX-License-Identifier: MIT
// x86-64: which vector registers this CPU has, for who must keep all of them.
#include <cpuid.h>

#include <cstddef>
#include <cstdint>

namespace pirn::arch {
namespace {

// Of XCR0's components: x87, SSE, AVX, the three of AVX-512, APX's general registers. Not AMX's
// tiles: no compiler keeps a value in them across a call.
constexpr std::uint32_t k_components = 0xe7 | 1u << 19;
constexpr std::size_t k_fxsave_bytes = 512;

std::uint32_t enabled_components() {
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0 || (ecx & bit_OSXSAVE) == 0) return 0;
    asm volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
    return eax & k_components;
}

// Bytes of the area that the standard form of xsave fills.
std::size_t area_bytes() {
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    if (enabled_components() == 0) return k_fxsave_bytes;
    __get_cpuid_count(0xd, 0, &eax, &ebx, &ecx, &edx);
    return ebx;
}

}  // namespace

extern "C" {
// The mask for xsave; 0: there is none, fxsave serves. Written once, below.
[[gnu::visibility("hidden")]] std::uint32_t __pirn_vector_mask = 0;
[[gnu::visibility("hidden")]] std::size_t __pirn_vector_area_bytes = k_fxsave_bytes;
}

namespace {

// Before the constructors of the program's own globals, which may run goroutines.
[[gnu::constructor(101)]] void look_at_cpu() {
    __pirn_vector_mask = enabled_components();
    __pirn_vector_area_bytes = area_bytes();
}

}  // namespace

}  // namespace pirn::arch
