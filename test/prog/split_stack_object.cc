// SPDX-License-Identifier: MIT
// What split_stack.cc links: Meson compiles this with -fsplit-stack and without the pass.
int needs_split_stacks(int n) {
    volatile char frame[500];
    frame[0] = static_cast<char>(n);
    return n == 0 ? 0 : needs_split_stacks(n - 1) + frame[0];
}
