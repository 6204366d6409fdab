// SPDX-License-Identifier: MIT
// See foreign.h. Meson compiles this without the pass's flags.
#include "test/prog/foreign.h"

#include <pirn/runtime.h>

#ifdef PIRN_SPLIT
#error "this is to be compiled without the pass"
#endif

namespace foreign {

[[gnu::noinline]] int recurse(int depth) {
    volatile char frame[200];
    frame[0] = 1;
    return depth == 0 ? 0 : recurse(depth - 1) + frame[0];
}

int call_back(int (*f)(int), int arg) {
    const int result = f(arg);
    asm volatile("" ::: "memory");  // no tail call: this frame is to be seen
    return result;
}

int add_one(int n) { return n + 1; }

void go_recurse(const char* name, int depth, int* result) {
    pirn::go({.name = name}, [depth, result] { *result = recurse(depth); });
}

}  // namespace foreign
