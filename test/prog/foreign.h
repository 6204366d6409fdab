// SPDX-License-Identifier: MIT
// Code that is compiled without the pass, as any library's is.
#pragma once

#include <cstddef>

namespace foreign {

// Calls itself `depth` times, with 200 bytes of locals each; returns depth.
int recurse(int depth);
// Calls f(arg).
int call_back(int (*f)(int), int arg);
int add_one(int n);

// Starts a goroutine of that name whose code is plain as well, and which calls recurse(depth) and
// stores the result.
void go_recurse(const char* name, int depth, int* result);

}  // namespace foreign
