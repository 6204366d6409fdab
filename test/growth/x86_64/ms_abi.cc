// SPDX-License-Identifier: MIT
// x86-64: functions of the other calling convention, which has arguments in other registers, room
// for them on the stack, and more registers that a function preserves.
#include <cstdarg>

#include "test/growth/subject.h"

using growth::at_each_depth;
using growth::ballast;

namespace {

struct three_words {
    long v[3];
};

[[gnu::ms_abi]] GROWTH_OPAQUE long weighted(int a, double b, int c, double d, long e, long f,
                                            three_words g, double h) {
    ballast<2500> room;
    return a + 2 * static_cast<long>(b) + 3 * c + 4 * static_cast<long>(d) + 5 * e + 6 * f +
           7 * (g.v[0] + g.v[1] + g.v[2]) + 8 * static_cast<long>(h) + room.damage();
}

[[gnu::ms_abi]] GROWTH_OPAQUE long sum_of(int count, ...) {
    ballast<2500> room;
    __builtin_ms_va_list list;
    __builtin_ms_va_start(list, count);
    long sum = room.damage();
    for (int i = 0; i < count; ++i) sum += __builtin_va_arg(list, int);
    __builtin_ms_va_end(list);
    return sum;
}

GROWTH_OPAQUE int needs_room(int x) {
    ballast<2500> room;
    return x + 1 + room.damage();
}

// Keeps xmm6 to xmm15 for its caller while it calls a function that does not.
[[gnu::ms_abi]] GROWTH_OPAQUE long both_ways(long n, double x) {
    ballast<300> room;
    long sum = 0;
    for (long i = 0; i < n; ++i) sum += needs_room(static_cast<int>(i));
    return sum + static_cast<long>(x) + room.damage();
}

GROWTH_SUBJECT("ms_abi: arguments, variable ones too, and calls both ways") {
    auto calls = [&] {
        EXPECT(weighted(1, 2.0, 3, 4.0, 5, 6, {{7, 8, 9}}, 10.0) ==
               1 + 4 + 9 + 16 + 25 + 36 + 7 * 24 + 80);
        EXPECT(sum_of(10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10) == 55);
        EXPECT(both_ways(10, 5.0) == 60);
        auto* const volatile pointer = &weighted;
        EXPECT(pointer(1, 2.0, 3, 4.0, 5, 6, {{7, 8, 9}}, 10.0) == 339);
    };
    at_each_depth(calls);
}

}  // namespace
