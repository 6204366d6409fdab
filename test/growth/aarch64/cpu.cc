// SPDX-License-Identifier: MIT
// aarch64: which registers there are, and how structures are passed.
#include "test/growth/cpu.h"

#include <sys/auxv.h>

extern "C" {
void growth_snapshot_simd(void (*f)(), unsigned char* bytes);
void growth_snapshot_sve(void (*f)(), unsigned char* bytes);
}

namespace growth {

namespace {

constexpr unsigned long k_hwcap_sve = 1ul << 22;

std::size_t sve_bytes() {
    std::size_t length;
    asm(".arch_extension sve\n\trdvl %0, 1\n\t.arch_extension nosve" : "=r"(length));
    return length;
}

}  // namespace

std::span<const snapshot_kind> snapshot_kinds() {
    static snapshot_kind all[] = {{240 + 32 * 16, &growth_snapshot_simd},
                                  {0, &growth_snapshot_sve}};
    if ((::getauxval(AT_HWCAP) & k_hwcap_sve) == 0) return {all, 1};
    const std::size_t length = sve_bytes();
    all[1].bytes = 256 + 34 * length;
    // Longer vectors do not fit.
    return {all, all[1].bytes <= sizeof(snapshot) ? 2u : 1u};
}

int alignment_by_value() { return 16; }

}  // namespace growth
