// SPDX-License-Identifier: MIT
// Frames that are hard to see: aligned, large, dynamic, with arguments and results on the stack.
#include <alloca.h>

#include <cstdarg>
#include <cstdint>
#include <cstring>

struct large {
    long v[300];
};
extern long use(void*, ...);
extern long take(large, int, large);

long over_aligned(int n) {
    alignas(256) char block[300];
    return use(block) + n;
}
long aligned_and_dynamic(int n) {
    alignas(128) char block[64];
    return use(block) + use(alloca(static_cast<size_t>(n)));
}
long of_100_kilobytes(int n) {
    char block[100000];
    return use(block) + n;
}
long of_20_megabytes(int n) {
    char block[20 << 20];
    return use(block) + n;
}
long variable(int n) {
    long sum = 0;
    for (int i = 0; i < n; ++i) {
        int block[i + 1];
        sum += use(block);
    }
    return sum;
}
large by_value(const large& a) {
    large b = a;
    b.v[0] = take(a, 1, b) + take(b, 2, a);
    return b;
}
long variadic(int n, ...) {
    va_list list;
    va_start(list, n);
    long sum = 0;
    for (int i = 0; i < n; ++i) sum += va_arg(list, long);
    va_end(list);
    return sum + use(&list, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12);
}
long many(int a, int b, int c, int d, int e, int f, int g, int h, int i, long j) {
    if (use(&a, b, c, d, e, f, g, h, i, j) > 3) return many(j, i, h, g, f, e, d, c, b, a);
    large x{};
    std::memset(&x, a, sizeof x);
    return take(x, a, x);
}
