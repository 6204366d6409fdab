// SPDX-License-Identifier: MIT
// EXPECT status 2
// EXPECT stderr: fatal error: the word of the thread's control block that limits the stack is not 0
// EXPECT stderr: some other code uses it
// EXPECT not stderr: ran
// Another runtime that keeps the limit of its stacks in the limit word, 4 KB below.
#include <cstdint>
#include <cstdio>

#include <pirn/runtime.h>

#include "arch/arch.h"

int main() {
    const auto theirs = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)) - 4096;
    pirn::arch::set_limit(theirs);
    return pirn::run([] { std::fprintf(stderr, "ran\n"); });
}
