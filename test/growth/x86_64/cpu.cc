// SPDX-License-Identifier: MIT
// x86-64: which registers there are, and how structures are passed.
#include "test/growth/cpu.h"

#include <cpuid.h>

extern "C" {
void growth_snapshot_sse(void (*f)(), unsigned char* bytes);
void growth_snapshot_avx(void (*f)(), unsigned char* bytes);
void growth_snapshot_avx512(void (*f)(), unsigned char* bytes);
}

namespace growth {

namespace {

// What the kernel saves of registers; 0 where the CPU can't tell. (gcc's own __builtin_cpu_supports
// does not go together with gold and link-time optimization.)
unsigned saved_registers() {
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & bit_OSXSAVE) == 0) return 0;
    asm("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return a;
}

bool has_avx512bw() {
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & bit_AVX512BW) != 0;
}

bool saves(unsigned registers) { return (saved_registers() & registers) == registers; }

}  // namespace

std::span<const snapshot_kind> snapshot_kinds() {
    static const snapshot_kind all[] = {{128 + 16 * 16, &growth_snapshot_sse},
                                        {128 + 16 * 32, &growth_snapshot_avx},
                                        {2176 + 8 * 8, &growth_snapshot_avx512}};
    constexpr unsigned k_avx = 6, k_avx512 = 0xe6;   // XCR0: with what they build on
    const std::size_t there = saves(k_avx512) && has_avx512bw() ? 3 : saves(k_avx) ? 2 : 1;
    return {all, there};
}

int alignment_by_value() { return 64; }

}  // namespace growth
