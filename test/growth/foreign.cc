// SPDX-License-Identifier: MIT
// The foreign library: see foreign.h. Never compiled through the pass.
#include "test/growth/foreign.h"

#include <cstdarg>
#include <cstddef>
#include <cstdint>

namespace foreign {

namespace {

template <std::size_t Bytes>
struct room {
    volatile char bytes[Bytes];
    [[gnu::always_inline]] room() {
        for (std::size_t i = 0; i < Bytes; ++i) bytes[i] = 1;
    }
    [[gnu::always_inline]] int zero() const { return bytes[0] - bytes[Bytes - 1]; }
};

struct count_up {
    int* n;
    ~count_up() { ++*n; }
};

int add_1000(int x) {
    room<2000> r;
    return x + 1000 + r.zero();
}

}  // namespace

long shape::area(int scale) {
    room<2500> r;
    return 10L * scale + r.zero();
}

big shape::outline(int a, int b, int c, int d, int e, int f, long g, double h, big i) {
    room<2500> r;
    i.v[0] += a + b + c + d + e + f + g + static_cast<long>(h) + r.zero();
    return i;
}

[[gnu::noinline]] int deep(int frames) {
    room<100> r;
    return frames == 0 ? r.zero() : deep(frames - 1) + 1 + r.zero();
}

int wide(int x) {
    room<60'000> r;
    return x + 1 + r.zero();
}

int call(int (*f)(int), int x) {
    room<3000> r;
    return f(x) + r.zero();
}

int call_with(int (*f)(void*, int), void* context, int x) {
    room<3000> r;
    return f(context, x) + r.zero();
}

long call_many(many_arguments* f) {
    room<3000> r;
    return f(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12.0, 13.0) + r.zero();
}

long many(int a, int b, int c, int d, int e, int f, int g, int h, long i, long j, long k, double x,
          double y) {
    room<4000> r;
    return a + b + c + d + e + f + g + h + i + j + k + static_cast<long>(x) +
           static_cast<long>(y) + r.zero();
}

many_arguments* address_of_many() { return &many; }

big make_big(long first) {
    room<3000> r;
    big b;
    for (long& x : b.v) x = first++ + r.zero();
    return b;
}

long take_big(int a, big b, int c) {
    room<3000> r;
    long sum = a + c + r.zero();
    for (const long x : b.v) sum += x;
    return sum;
}

big change_big(big b, long n) {
    room<3000> r;
    for (long& x : b.v) x += n + r.zero();
    return b;
}

long take_line(long a, long b, long c, long d, long e, long f, long g, long h, long i, line x,
               long j) {
    room<3000> r;
    auto address = reinterpret_cast<std::uintptr_t>(&x);
    asm volatile("" : "+r"(address));   // What the type promises is the question here.
    long sum = a + b + c + d + e + f + g + h + i + j + r.zero();
    for (const long n : x.v) sum += n;
    return static_cast<long>(address % alignof(line)) << 32 | sum;
}

long sum_of(int count, ...) {
    room<3000> r;
    std::va_list list;
    va_start(list, count);
    long sum = r.zero();
    for (int i = 0; i < count; ++i) sum += va_arg(list, int);
    va_end(list);
    return sum;
}

double sum_of_doubles(int count, ...) {
    room<3000> r;
    std::va_list list;
    va_start(list, count);
    double sum = r.zero();
    for (int i = 0; i < count; ++i) sum += va_arg(list, double);
    va_end(list);
    return sum;
}

void raise(int x) {
    room<3000> r;
    throw x + r.zero();
}

int call_guarded(void (*f)(int), int x, int* destroyed) {
    room<3000> r;
    const count_up at_end{destroyed};
    f(x);
    return r.zero();
}

int catch_from(void (*f)(int), int x) {
    room<3000> r;
    try {
        f(x);
    } catch (int thrown) {
        return thrown + r.zero();
    }
    return -1;
}

shape* make_shape() { return new shape; }

long measure(shape& s, int scale) {
    room<3000> r;
    return s.area(scale) + r.zero();
}

int (*adder())(int) { return &add_1000; }

int apply_inline(int x) {
    room<3000> r;
    return shared_inline(x) + r.zero();
}

}  // namespace foreign
