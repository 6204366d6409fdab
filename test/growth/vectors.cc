// SPDX-License-Identifier: MIT
// Vectors and over-aligned structures as arguments and results: in registers or in memory, as the
// flags have it, and then as aligned where the callee finds them as where the caller put them.
#include <cstdint>

#include "test/growth/cpu.h"
#include "test/growth/foreign.h"
#include "test/growth/subject.h"

using growth::at_each_depth;
using growth::ballast;
using growth::hidden;

namespace {

template <int Bytes>
struct lanes {
    typedef double vector [[gnu::vector_size(Bytes)]];
    static constexpr int k_count = Bytes / 8;
};
using vector16 = lanes<16>::vector;
using vector32 = lanes<32>::vector;
using vector64 = lanes<64>::vector;

template <int Align>
struct alignas(Align) aligned {
    long v[Align / 8];
};

template <class Vector>
Vector filled(double first) {
    Vector x;
    for (unsigned i = 0; i < sizeof(Vector) / 8; ++i) x[i] = first + i;
    return x;
}
template <class Vector>
double weighed(const Vector& x) {
    double sum = 0;
    for (unsigned i = 0; i < sizeof(Vector) / 8; ++i) sum += (i + 1) * x[i];
    return sum;
}

bool is_aligned(const void* p, std::uintptr_t to) {
    return hidden(reinterpret_cast<std::uintptr_t>(p)) % to == 0;
}

// Ten vectors: more than there are registers for, so the last ones are in memory.
template <class Vector>
GROWTH_OPAQUE double ten(Vector a, Vector b, Vector c, Vector d, Vector e, Vector f, Vector g,
                         Vector h, Vector i, Vector j) {
    ballast<2000> room;
    return weighed(a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h + 9 * i + 10 * j) +
           room.damage();
}

// Integers enough to use up their registers, then vectors among words on the stack. The word at the
// end makes the whole of them end where no vector could.
template <class Vector>
GROWTH_OPAQUE double among_words(long a, long b, long c, long d, long e, long f, long g, long h,
                                 long i, Vector x, long j, Vector y, long k) {
    ballast<2000> room;
    return static_cast<double>(a + b + c + d + e + f + g + h + i + j + k) + weighed(x) +
           weighed(y) + room.damage();
}

template <class Vector>
GROWTH_OPAQUE Vector back(Vector x, double add) {
    ballast<2000> room;
    return x + (add + room.damage());
}

// -1 where the structure does not lie as its type says.
template <int Align>
GROWTH_OPAQUE long takes_aligned(long a, long b, long c, long d, long e, long f, long g, long h,
                                 long i, aligned<Align> x, long j, aligned<Align> y, long k) {
    ballast<2000> room;
    if (Align <= growth::alignment_by_value() &&
        (!is_aligned(&x, Align) || !is_aligned(&y, Align)))
        return -1;
    long sum = a + b + c + d + e + f + g + h + i + j + k + room.damage();
    for (const long n : x.v) sum += n;
    for (const long n : y.v) sum += 100 * n;
    return sum;
}

template <class Vector>
void vectors(growth::verdict& v) {
    static const auto x = filled<Vector>(1);
    static const double weight = weighed(x);
    auto many = [&] { EXPECT(ten<Vector>(x, x, x, x, x, x, x, x, x, x) == 55 * weight); };
    at_each_depth(many);
    auto some = [&] {
        EXPECT(among_words<Vector>(1, 2, 3, 4, 5, 6, 7, 8, 9, x, 10, 2 * x, 11) == 66 + 3 * weight);
        auto* const volatile pointer = &among_words<Vector>;
        EXPECT(pointer(1, 2, 3, 4, 5, 6, 7, 8, 9, x, 10, 2 * x, 11) == 66 + 3 * weight);
    };
    at_each_depth(some);
    auto result = [&] {
        const Vector y = back(x, 10.0);
        EXPECT(y[0] == 11 && y[sizeof(Vector) / 8 - 1] == 10 + sizeof(Vector) / 8);
    };
    at_each_depth(result);
}

template <int Align>
void structures(growth::verdict& v) {
    static aligned<Align> x, y;
    for (int i = 0; i < Align / 8; ++i) {
        x.v[i] = i + 1;
        y.v[i] = 2 * i + 1;
    }
    auto calls = [&] {
        const long n = Align / 8;
        EXPECT(takes_aligned<Align>(1, 2, 3, 4, 5, 6, 7, 8, 9, x, 10, y, 11) ==
               66 + n * (n + 1) / 2 + 100 * n * n);
    };
    at_each_depth(calls);
}

GROWTH_SUBJECT("vectors: of 16 bytes") { vectors<vector16>(v); }
GROWTH_SUBJECT("vectors: of 32 bytes") { vectors<vector32>(v); }
GROWTH_SUBJECT("vectors: of 64 bytes") { vectors<vector64>(v); }

GROWTH_SUBJECT("vectors: over-aligned structures by value") {
    structures<16>(v);
    structures<32>(v);
    structures<64>(v);
}

// How many bytes of arguments a foreign function has is known from its caller's frame only.
GROWTH_OPAQUE long passes_line(const foreign::line& x, long extra) {
    return foreign::take_line(1, 2, 3, 4, 5, 6, 7, 8, 9, x, 10) + extra;
}
GROWTH_OPAQUE long passes_line_to(decltype(&foreign::take_line) f, const foreign::line& x,
                                  long extra) {
    return f(1, 2, 3, 4, 5, 6, 7, 8, 9, x, 10) + extra;
}

GROWTH_SUBJECT("vectors: over-aligned structures for foreign functions") {
    static const foreign::line x{{1, 2, 3, 4, 5, 6, 7, 8}};
    const bool promised = growth::alignment_by_value() >= 64;
    const auto right = [promised](long got) {
        return (got & 0xffff'ffff) == 55 + 36 + 1 && (!promised || got >> 32 == 0);
    };
    auto calls = [&] {
        EXPECT(right(passes_line(x, 1)));
        EXPECT(right(passes_line_to(&foreign::take_line, x, 1)));
    };
    at_each_depth(calls);
}

}  // namespace
