// SPDX-License-Identifier: MIT
// Arguments and results wherever a calling convention puts them, over calls that do not fit.
#include <complex>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <string>

#include "test/growth/foreign.h"
#include "test/growth/subject.h"

using growth::at_each_depth;
using growth::ballast;
using growth::hidden;

namespace {

struct pair_of_ints {
    long a, b;
};
struct mixed {
    long a;
    double b;
};
struct four_doubles {
    double a, b, c, d;
};
struct three_floats {
    float a, b, c;
};
template <int Words>
struct block {
    long v[Words];
};

// Remembers where it is: passed by reference to a copy, because its copying is not trivial.
class self_aware {
  public:
    explicit self_aware(int value) : me_(this), value_(value) {}
    self_aware(const self_aware& other) : me_(this), value_(other.value_ + 1) {}
    self_aware& operator=(const self_aware&) = delete;
    ~self_aware() { me_ = nullptr; }
    bool at_home() const { return me_ == this; }
    int value() const { return value_; }

  private:
    const self_aware* volatile me_;
    int value_;
};

template <int Words>
block<Words> counting_from(long first) {
    block<Words> b;
    for (long& x : b.v) x = first++;
    return b;
}
template <int Words>
long sum_of(const block<Words>& b) {
    long sum = 0;
    for (const long x : b.v) sum += x;
    return sum;
}
template <int Words>
constexpr long sum_from(long first) {
    return Words * first + Words * (Words - 1) / 2;
}

GROWTH_OPAQUE long many(int a, int b, int c, int d, int e, int f, int g, int h, long i, long j,
                        long k, double x, double y) {
    ballast<3000> room;
    return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h + 9 * i + 10 * j + 11 * k +
           12 * static_cast<long>(x) + 13 * static_cast<long>(y) + room.damage();
}
constexpr long k_many = 1 + 4 + 9 + 16 + 25 + 36 + 49 + 64 + 81 + 100 + 121 + 144 + 169;

// Calls with more arguments at each level, so that every hop has some to bring along.
GROWTH_OPAQUE long many_deep(int n, long a, long b, long c, long d, long e, long f, long g, long h,
                             long i) {
    ballast<700> room;
    if (n == 0) return a + b + c + d + e + f + g + h + i + room.damage();
    return many_deep(n - 1, a + 1, b, c, d, e, f, g, h + 1, i + 1) + room.damage();
}

// Its incoming arguments are its own to change.
GROWTH_OPAQUE long changes_its_arguments(long a, long b, long c, long d, long e, long f, long g,
                                         long h, long i, long j) {
    ballast<3000> room;
    for (int n = 0; n < 3; ++n) {
        g += h;
        h += i;
        i += j;
        j = hidden(j + a + b + c + d + e + f);
    }
    return g + 10 * h + 100 * i + 1000 * j + room.damage();
}
constexpr long k_changed = 68 + 10 * 86 + 100 * 102 + 1000 * 73;

// More stack arguments than a few words: 100 of them.
#define TEN(x) x + 0, x + 1, x + 2, x + 3, x + 4, x + 5, x + 6, x + 7, x + 8, x + 9
template <class... Long>
GROWTH_OPAQUE long weighted(Long... values) {
    ballast<2000> room;
    long sum = room.damage(), weight = 0;
    ((sum += ++weight * values), ...);
    return sum;
}
constexpr long weighted_squares(long n) { return n == 0 ? 0 : n * n + weighted_squares(n - 1); }

GROWTH_OPAQUE long sum_varargs(int count, ...) {
    ballast<3000> room;
    std::va_list list, again;
    va_start(list, count);
    va_copy(again, list);
    long sum = room.damage();
    for (int i = 0; i < count; ++i) sum += va_arg(list, int);
    for (int i = 0; i < count; ++i) sum += 1000L * va_arg(again, int);
    va_end(again);
    va_end(list);
    return sum;
}

GROWTH_OPAQUE double sum_mixed_varargs(int count, ...) {
    ballast<3000> room;
    std::va_list list;
    va_start(list, count);
    double sum = room.damage();
    for (int i = 0; i < count; ++i) {
        sum += va_arg(list, int);
        sum += va_arg(list, double);
        const auto p = va_arg(list, pair_of_ints);
        sum += static_cast<double>(p.a + p.b);
        const auto big = va_arg(list, block<20>);
        sum += static_cast<double>(sum_of(big));
    }
    va_end(list);
    return sum;
}

// Hands its arguments on to foreign code.
[[gnu::format(printf, 3, 4)]] GROWTH_OPAQUE int formatted(char* out, std::size_t size,
                                                          const char* format, ...) {
    ballast<500> room;
    std::va_list list;
    va_start(list, format);
    const int length = std::vsnprintf(out, size, format, list);
    va_end(list);
    return length + room.damage();
}

template <int Words>
GROWTH_OPAQUE long by_value(int before, block<Words> b, int after) {
    ballast<3000> room;
    const long sum = before + sum_of(b) + after;
    for (long& x : b.v) x = hidden(-1L);
    return sum + room.damage();
}

template <int Words>
GROWTH_OPAQUE block<Words> by_memory(long first) {
    ballast<3000> room;
    return counting_from<Words>(first + room.damage());
}

// One structure in, another out, both in memory.
template <int Words>
GROWTH_OPAQUE block<Words> doubled(block<Words> b) {
    ballast<1000> room;
    for (long& x : b.v) x = 2 * x + room.damage();
    return b;
}

template <class T>
GROWTH_OPAQUE T in_registers(T value) {
    ballast<2000> room;
    if (room.damage() != 0) return T{};
    return value;
}

GROWTH_OPAQUE int takes_self_aware(self_aware a, int x, self_aware b) {
    ballast<2000> room;
    if (!a.at_home() || !b.at_home()) return -1;
    return a.value() + x + b.value() + room.damage();
}

GROWTH_OPAQUE self_aware makes_self_aware(int n) {
    ballast<2000> room;
    return self_aware(n + room.damage());
}

template <int Words>
GROWTH_OPAQUE long passed_on(const block<Words>& b) {
    return by_value<Words>(1, b, 2);
}

template <int Words>
void values_and_memory(growth::verdict& v) {
    static const block<Words> b = counting_from<Words>(5);
    EXPECT(passed_on<Words>(b) == 3 + sum_from<Words>(5));
    EXPECT(sum_of(b) == sum_from<Words>(5));
    const block<Words> made = by_memory<Words>(7);
    EXPECT(sum_of(made) == sum_from<Words>(7));
    EXPECT(sum_of(doubled(doubled(b))) == 4 * sum_from<Words>(5));
    auto* const volatile pointer = &by_value<Words>;
    EXPECT(pointer(3, b, 4) == 7 + sum_from<Words>(5));
}

GROWTH_SUBJECT("calls: arguments on the stack") {
    auto calls = [&] {
        EXPECT(many(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12.0, 13.0) == k_many);
        auto* const volatile pointer = &many;
        EXPECT(pointer(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12.0, 13.0) == k_many);
        EXPECT(changes_its_arguments(1, 2, 3, 4, 5, 6, 7, 8, 9, 10) == k_changed);
    };
    at_each_depth(calls);
    EXPECT(many_deep(500, 1, 2, 3, 4, 5, 6, 7, 8, 9) == 45 + 3 * 500);
}

GROWTH_SUBJECT("calls: a hundred arguments") {
    auto calls = [&] {
        EXPECT(weighted(TEN(1L), TEN(11L), TEN(21L), TEN(31L), TEN(41L), TEN(51L), TEN(61L),
                        TEN(71L), TEN(81L), TEN(91L)) == weighted_squares(100));
    };
    at_each_depth(calls, 16);
}

GROWTH_SUBJECT("calls: arguments on the stack of foreign functions") {
    auto calls = [&] {
        EXPECT(foreign::many(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12.0, 13.0) == 91);
        EXPECT(foreign::address_of_many()(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12.0, 13.0) == 91);
        EXPECT(foreign::call_many(&many) == k_many);
        EXPECT(foreign::sum_of(12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12) == 78);
        EXPECT(foreign::sum_of_doubles(10, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5, 10.5) ==
               60.0);
    };
    at_each_depth(calls);
    const foreign::big b = foreign::make_big(3);
    auto by_value = [&] { EXPECT(foreign::take_big(1, b, 2) == 3 + sum_from<64>(3)); };
    at_each_depth(by_value);
    auto both_ways = [&] {
        const foreign::big changed = foreign::change_big(b, 10);
        EXPECT(changed.v[0] == 13 && changed.v[63] == 76 && b.v[0] == 3 && b.v[63] == 66);
    };
    at_each_depth(both_ways, 12);
}

GROWTH_SUBJECT("calls: variable arguments") {
    auto calls = [&] {
        EXPECT(sum_varargs(20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19,
                           20) == 210'210);
    };
    at_each_depth(calls);
    const pair_of_ints p{10, 20};
    const auto big = counting_from<20>(1);
    auto structures = [&] {
        EXPECT(sum_mixed_varargs(3, 1, 0.5, p, big, 2, 0.25, p, big, 3, 0.25, p, big) ==
               6 + 1.0 + 90 + 630);
    };
    at_each_depth(structures, 20);
}

GROWTH_SUBJECT("calls: variable arguments handed on to foreign code") {
    auto calls = [&] {
        char text[200];
        const char* const right = "1 2 3 4 5 six 7.5 8 9 10 k 12.25 13";
        EXPECT(formatted(text, sizeof text, "%d %d %d %d %d %s %g %d %ld %d %c %Lg %x", 1, 2, 3, 4,
                         5, "six", 7.5, 8, 9L, 10, 'k', 12.25L,
                         0x13) == static_cast<int>(std::strlen(right)));
        EXPECT(std::strcmp(text, right) == 0);
    };
    at_each_depth(calls, 8);
}

GROWTH_SUBJECT("calls: structures by value and as results") {
    auto small = [&] { values_and_memory<3>(v); };
    at_each_depth(small);
    auto large = [&] { values_and_memory<40>(v); };
    at_each_depth(large);
    values_and_memory<512>(v);
    values_and_memory<1200>(v);
}

GROWTH_SUBJECT("calls: small values in registers") {
    auto calls = [&] {
        const auto p = in_registers(pair_of_ints{1, 2});
        EXPECT(p.a == 1 && p.b == 2);
        const auto m = in_registers(mixed{3, 4.5});
        EXPECT(m.a == 3 && m.b == 4.5);
        const auto d = in_registers(four_doubles{1, 2, 3, 4});
        EXPECT(d.a == 1 && d.b == 2 && d.c == 3 && d.d == 4);
        const auto f = in_registers(three_floats{1, 2, 3});
        EXPECT(f.a == 1 && f.b == 2 && f.c == 3);
        EXPECT(in_registers(1.25L) == 1.25L);
        EXPECT(in_registers(std::complex<double>(1, 2)) == std::complex<double>(1, 2));
        EXPECT(in_registers(std::complex<long double>(1, 2)) == std::complex<long double>(1, 2));
        const __int128 wide = static_cast<__int128>(0x1234) << 70 | 5;
        EXPECT(in_registers(wide) == wide);
    };
    at_each_depth(calls);
}

GROWTH_SUBJECT("calls: objects that know their address") {
    auto calls = [&] {
        const self_aware a(10), b(20);
        EXPECT(takes_self_aware(a, 100, b) == 132);
        EXPECT(makes_self_aware(7).at_home());
        EXPECT(takes_self_aware(makes_self_aware(1), 2, makes_self_aware(3)) == 6);
        EXPECT(a.at_home() && b.at_home());
    };
    at_each_depth(calls);
}

}  // namespace
