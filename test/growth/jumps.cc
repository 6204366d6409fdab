// SPDX-License-Identifier: MIT
// setjmp and longjmp over stacks that have grown.
#include <setjmp.h>

#include "test/growth/foreign.h"
#include "test/growth/subject.h"

using growth::at_depth;
using growth::at_each_depth;
using growth::ballast;

namespace {

GROWTH_OPAQUE void jump_from(int frames, jmp_buf& to, int value) {
    ballast<900> room;
    if (frames == 0) longjmp(to, value + room.damage());
    jump_from(frames - 1, to, value);
}

GROWTH_OPAQUE int jumps_back(int frames, int times) {
    ballast<400> room;
    jmp_buf here;
    volatile int sum = 0;
    const int value = setjmp(here);
    sum = sum + value;
    if (value < times) jump_from(frames, here, value + 1);
    // After the last jump a call needs a stack again, and finds the right one.
    return sum + at_depth(30, [] {}) - 30 + room.damage();
}

// setjmp on a segment, longjmp from a deeper one.
GROWTH_OPAQUE int jumps_within(int frames) {
    ballast<900> room;
    if (frames > 0) return jumps_within(frames - 1) + room.damage();
    return jumps_back(20, 3);
}

GROWTH_OPAQUE int with_signal_mask(int frames) {
    ballast<400> room;
    sigjmp_buf here;
    volatile int calls = 0;
    const int value = sigsetjmp(here, 1);
    calls = calls + 1;
    if (value == 0) {
        at_depth(frames, [&] { siglongjmp(here, 42); });
    }
    return value + calls + room.damage();
}

// Foreign frames lie between the two.
jmp_buf* over_foreign = nullptr;
GROWTH_OPAQUE int jump_over_foreign(int x) {
    ballast<500> room;
    longjmp(*over_foreign, x + room.damage());
}
GROWTH_OPAQUE int jumps_over_foreign(int x) {
    jmp_buf here;
    over_foreign = &here;
    const int value = setjmp(here);
    if (value == 0) return foreign::call(&jump_over_foreign, x);
    return value;
}

GROWTH_SUBJECT("jumps: longjmp over hops", true) {
    auto calls = [&] {
        EXPECT(jumps_back(0, 1) == 1);
        EXPECT(jumps_back(8, 4) == 10);
        EXPECT(jumps_within(8) == 6);
        EXPECT(with_signal_mask(30) == 44);
    };
    at_each_depth(calls);
    // Nothing that belongs to the frames that were left may pile up.
    for (int i = 0; i < 1000; ++i) EXPECT(jumps_back(10, 2) == 3);
    EXPECT(at_depth(1000, [] {}) == 1000);
}

// One subject runs at a time, so that its buffer may be a global.
GROWTH_SUBJECT("jumps: longjmp over foreign frames") {
    auto calls = [&] { EXPECT(jumps_over_foreign(5) == 5); };
    at_each_depth(calls);
    for (int i = 0; i < 1000; ++i) EXPECT(jumps_over_foreign(6) == 6);
}

}  // namespace
