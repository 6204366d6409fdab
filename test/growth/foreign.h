// SPDX-License-Identifier: MIT
// Foreign code as a user links it: a library that was compiled without growing stacks.
//
// It takes whatever stack it likes, calls back, and throws. Its large arrays are written to from
// end to end, so that too little room is an access to somebody else's memory.
#pragma once

namespace foreign {

struct big {
    long v[64];
};

struct alignas(64) line {
    long v[8];
};

class shape {
  public:
    virtual ~shape() = default;
    virtual long area(int scale);
    // Arguments on the stack and a result in memory, by a virtual call.
    virtual big outline(int a, int b, int c, int d, int e, int f, long g, double h, big i);
};

using many_arguments = long(int, int, int, int, int, int, int, int, long, long, long, double,
                            double);

int deep(int frames);                     // recurses and returns `frames`
int wide(int x);                          // has a frame of 60,000 bytes; x + 1
int call(int (*f)(int), int x);           // f(x), from a frame of 3,000 bytes
int call_with(int (*f)(void*, int), void* context, int x);
long call_many(many_arguments* f);        // f(1, 2, …, 13.0)
many_arguments many;                      // the sum of its arguments
many_arguments* address_of_many();
big make_big(long first);                 // first, first + 1, …
long take_big(int a, big b, int c);       // the sum
big change_big(big b, long n);            // adds n to each; b is its own copy
// Says by how much its structure is off its alignment, in the upper half, and the sum of all.
long take_line(long a, long b, long c, long d, long e, long f, long g, long h, long i, line x,
               long j);
long sum_of(int count, ...);              // of ints
double sum_of_doubles(int count, ...);
[[noreturn]] void raise(int x);           // throws x
int call_guarded(void (*f)(int), int x, int* destroyed);  // f(x), with a destructor to run
int catch_from(void (*f)(int), int x);    // the int that f(x) throws; -1 if it throws nothing
shape* make_shape();                      // new; area() is 10 * scale
long measure(shape& s, int scale);        // s.area(scale)
int (*adder())(int);                      // a function that adds 1000
int apply_inline(int x);                  // shared_inline(x), as compiled here

// Of both worlds: each has a copy, of which the linker keeps one.
[[gnu::noinline]] inline int shared_inline(int n) {
    volatile char room[300];
    room[0] = 1;
    room[299] = 1;
    return n == 0 ? 0 : shared_inline(n - 1) + room[0];
}

}  // namespace foreign
