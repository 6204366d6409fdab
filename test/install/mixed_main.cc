// SPDX-License-Identifier: MIT
// A program of three objects that were built in the three ways; each is made of growing.cc.
#include <pirn/runtime.h>

void tell_gcc();
void tell_clang();
void tell_plain();

int main() {
    return pirn::run(
        [] {
            tell_gcc();
            tell_clang();
            tell_plain();
        },
        {.procs = 1});
}
