// SPDX-License-Identifier: MIT
// A shared object: hidden names do not reach it, pointers and the linkage table do.
#include "test/growth/mix/mixed.h"

namespace mixed {

int shared_chain(int n) {
    volatile char room[900];
    for (volatile char& c : room) c = 1;
    return n == 0 ? 0 : shared_chain(n - 1) + room[899];
}

int shared_calls(unary* f, int n) {
    volatile char room[900];
    for (volatile char& c : room) c = 1;
    return f(n) + room[899] - 1;
}

int shared_many(int a, int b, int c, int d, int e, int f, int g, int h, long i, double x) {
    volatile char room[3000];
    for (volatile char& byte : room) byte = 1;
    return a + b + c + d + e + f + g + h + static_cast<int>(i) + static_cast<int>(x) + room[0] - 1;
}

void shared_throws(int n) {
    volatile char room[900];
    for (volatile char& c : room) c = 1;
    if (n == 0) throw 0;
    try {
        shared_throws(n - 1);
    } catch (int e) {
        throw e + room[899];
    }
}

}  // namespace mixed
