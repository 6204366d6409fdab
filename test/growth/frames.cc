// SPDX-License-Identifier: MIT
// Frames of every size and kind: large, aligned, dynamic, and very many of them.
#include <alloca.h>

#include <cstdint>
#include <cstring>
#include <utility>

#include "test/growth/foreign.h"
#include "test/growth/subject.h"

using growth::at_each_depth;
using growth::ballast;
using growth::hidden;

namespace {

GROWTH_OPAQUE int fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

template <std::size_t Bytes>
GROWTH_OPAQUE int frame_of(int x) {
    ballast<Bytes> room;
    return fib(x) + room.damage();
}
// Does not call anything, so that all of its frame is its own.
template <std::size_t Bytes>
GROWTH_OPAQUE int leaf_of(int x) {
    ballast<Bytes> room;
    return x + room.damage();
}

// Each size in steps of `Step`, around a size at which something changes.
template <std::size_t First, std::size_t Step, std::size_t... I>
int frames_from(std::index_sequence<I...>) {
    return (... + (frame_of<First + I * Step>(6) + leaf_of<First + I * Step>(1)));
}

GROWTH_OPAQUE long of_alloca(std::size_t bytes, int value) {
    auto* const p = static_cast<unsigned char*>(alloca(bytes));
    std::memset(p, value, bytes);
    long sum = fib(3);
    for (std::size_t i = 0; i < bytes; ++i) sum += p[i];
    return sum;
}

// Takes a piece at a time; each must still hold what was put there when the last one is taken.
GROWTH_OPAQUE long of_allocas(int pieces, std::size_t bytes) {
    struct piece {
        piece* next;
        long value;
    };
    piece* list = nullptr;
    for (int i = 0; i < pieces; ++i) {
        auto* const p = static_cast<piece*>(alloca(bytes));
        std::memset(static_cast<void*>(p), 0x77, bytes);
        p->next = list;
        p->value = fib(i % 8);
        list = p;
    }
    long sum = 0;
    for (; list != nullptr; list = list->next) sum += list->value;
    return sum;
}

GROWTH_OPAQUE long of_vla(int n) {
    int values[n];
    for (int i = 0; i < n; ++i) values[i] = i;
    const int zero = foreign::deep(3) - 3;
    long sum = zero;
    for (int i = 0; i < n; ++i) sum += values[i];
    return sum;
}

// Arguments on the stack below memory that was taken while the function ran.
GROWTH_OPAQUE long alloca_and_arguments(std::size_t bytes) {
    auto* const p = static_cast<unsigned char*>(alloca(bytes));
    std::memset(p, 1, bytes);
    const long last = p[bytes - 1];
    const long sum = foreign::many(p[0], 2, 3, 4, 5, 6, 7, 8, 9, 10, last, 12.0, 13.0);
    long check = 0;
    for (std::size_t i = 0; i < bytes; ++i) check += p[i];
    return sum + check;
}

// Alternates between memory of its own and a deeper call, each level leaving its mark.
GROWTH_OPAQUE long recursive_alloca(int n) {
    const std::size_t bytes = 64 + static_cast<std::size_t>(n % 7) * 500;
    auto* const p = static_cast<unsigned char*>(alloca(bytes));
    std::memset(p, n & 0xff, bytes);
    const long below = n == 0 ? 0 : recursive_alloca(n - 1);
    for (std::size_t i = 0; i < bytes; ++i)
        if (p[i] != (n & 0xff)) return -1'000'000;
    return below + 1;
}

template <int Align>
GROWTH_OPAQUE int over_aligned(int n) {
    alignas(Align) volatile unsigned char room[300];
    for (volatile unsigned char& c : room) c = static_cast<unsigned char>(n);
    if (hidden(reinterpret_cast<std::uintptr_t>(room)) % Align != 0) return -1;
    int sum = fib(4);
    for (const volatile unsigned char& c : room) sum += c;
    return sum;
}

// Aligned, dynamic, and with more arguments than registers: needs three pointers into its frame.
GROWTH_OPAQUE long aligned_and_dynamic(long a, long b, long c, long d, long e, long f, long g,
                                       long h, long i, std::size_t bytes) {
    alignas(128) volatile long here[4] = {a, b, h, i};
    auto* const p = static_cast<unsigned char*>(alloca(bytes));
    std::memset(p, 1, bytes);
    long sum = a + b + c + d + e + f + g + h + i + fib(5);
    for (std::size_t n = 0; n < bytes; ++n) sum += p[n];
    if (hidden(reinterpret_cast<std::uintptr_t>(here)) % 128 != 0) return -1;
    return sum + here[0] + here[1] + here[2] + here[3];
}

GROWTH_OPAQUE int recursion(int n) {
    volatile int kept = n;
    if (n == 0) return 0;
    const int below = recursion(n - 1);
    return below + (kept == n ? 1 : 1'000'000);
}

template <std::size_t Bytes>
GROWTH_OPAQUE int recursion_of(int n) {
    ballast<Bytes> room;
    if (n == 0) return room.damage();
    return recursion_of<Bytes>(n - 1) + 1 + room.damage();
}

GROWTH_SUBJECT("frames: fib") {
    EXPECT(fib(20) == 6765);
    auto calls = [&] { EXPECT(fib(9) == 34); };
    at_each_depth(calls);
}

GROWTH_SUBJECT("frames: every size up to a kilobyte") {
    using every = std::make_index_sequence<64>;
    auto calls = [&] { EXPECT((frames_from<16, 16>(every{}) == 9 * 64)); };
    at_each_depth(calls);
}

GROWTH_SUBJECT("frames: sizes around 1.5, 2, 4, 16, 64 and 100 KB") {
    using some = std::make_index_sequence<8>;
    auto calls = [&] {
        EXPECT((frames_from<1504, 32>(some{}) == 9 * 8));
        EXPECT((frames_from<1920, 32>(some{}) == 9 * 8));
        EXPECT((frames_from<3968, 32>(some{}) == 9 * 8));
    };
    at_each_depth(calls);
    EXPECT((frames_from<16'256, 32>(some{}) == 9 * 8));
    EXPECT((frames_from<65'400, 32>(some{}) == 9 * 8));
    EXPECT(frame_of<5000>(6) == 8 && frame_of<100'000>(6) == 8 && leaf_of<100'000>(1) == 1);
    EXPECT(frame_of<1'000'000>(6) == 8 && frame_of<5'000'000>(6) == 8);
}

GROWTH_SUBJECT("frames: alloca, small and 50 KB") {
    auto calls = [&] {
        EXPECT(of_alloca(hidden<std::size_t>(200), 7) == 1402);
        EXPECT(of_alloca(hidden<std::size_t>(1), 7) == 9);
        EXPECT(of_alloca(hidden<std::size_t>(5000), 3) == 15'002);
        EXPECT(alloca_and_arguments(hidden<std::size_t>(777)) == 91 - 10 + 777);
    };
    at_each_depth(calls);
    EXPECT(of_alloca(hidden<std::size_t>(50'000), 2) == 100'002);
    EXPECT(of_allocas(hidden(12), hidden<std::size_t>(4000)) == 33 + 0 + 1 + 1 + 2);
    EXPECT(recursive_alloca(1000) == 1001);
}

GROWTH_SUBJECT("frames: arrays of variable length") {
    auto calls = [&] {
        EXPECT(of_vla(hidden(3)) == 3);
        EXPECT(of_vla(hidden(1000)) == 499'500);
    };
    at_each_depth(calls);
    EXPECT(of_vla(hidden(12'000)) == 71'994'000);
}

GROWTH_SUBJECT("frames: over-aligned") {
    auto calls = [&] {
        EXPECT(over_aligned<64>(1) == 303);
        EXPECT(over_aligned<256>(2) == 603);
        EXPECT(over_aligned<4096>(1) == 303);
        EXPECT(aligned_and_dynamic(1, 2, 3, 4, 5, 6, 7, 8, 9, hidden<std::size_t>(1000)) ==
               45 + 5 + 1000 + 20);
    };
    at_each_depth(calls);
    EXPECT(over_aligned<16'384>(1) == 303);
}

GROWTH_SUBJECT("frames: recursion 20,000 and 100,000 deep") {
    EXPECT(recursion(20'000) == 20'000);
    for (int i = 0; i < 3; ++i) EXPECT(recursion(growth::k_deepest) == growth::k_deepest);
    EXPECT(recursion_of<200>(20'000) == 20'000);
    EXPECT(recursion_of<10'000>(500) == 500);
    EXPECT(recursion_of<100'000>(60) == 60);
}

// The boundary between two stacks is crossed on each call, wherever it lies.
GROWTH_SUBJECT("frames: a loop at the boundary") {
    auto calls = [&] {
        long sum = 0;
        for (int i = 0; i < 300; ++i) sum += frame_of<300>(2) + frame_of<2500>(1);
        EXPECT(sum == 600);
    };
    at_each_depth(calls);
    for (int deep = 0; deep < 3000; deep += 61)
        EXPECT(growth::at_depth(deep, [&] { EXPECT(frame_of<3000>(6) == 8); }) == deep);
}

GROWTH_SUBJECT("frames: foreign code has its room at every depth") {
    auto calls = [&] {
        EXPECT(foreign::wide(1) == 2);
        EXPECT(foreign::deep(100) == 100);
    };
    at_each_depth(calls);
    for (int deep = 0; deep < 3000; deep += 61)
        EXPECT(growth::at_depth(deep, [&] { EXPECT(foreign::wide(1) == 2); }) == deep);
}

}  // namespace
