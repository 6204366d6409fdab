// SPDX-License-Identifier: MIT
// What is in registers when a call hops and when it comes back.
//
// gcc's -fipa-ra (on at -O2) lets the caller of a function in the same file keep values in every
// register that it knows the function not to touch, whatever the calling convention says. A hop
// must therefore leave all of them alone. The callees here are local, are never inlined, and touch
// as little as they can; the callers keep as many values as there are registers, and more.
// What no compiler can be made to keep there, <cpu>/snapshot.S looks at.
#include <cfenv>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <thread>
#include <utility>

#include "test/growth/cpu.h"
#include "test/growth/subject.h"

using growth::at_depth;
using growth::at_each_depth;
using growth::ballast;
using growth::hidden;

namespace {

// Needs `Bytes` of stack and hardly a register. Writes nothing else, so its caller's values are
// where they were.
template <std::size_t Bytes>
[[gnu::noinline]] int small_work(int x) {
    volatile char room[Bytes];
    room[0] = static_cast<char>(x);
    return room[0] + 1;
}

// Calls `small_work` between uses of as many values. What is hidden the optimiser can't compute
// again.
template <std::size_t Bytes, std::size_t... I>
[[gnu::noinline]] int kept_over_call(const std::uint64_t* from, int x, std::index_sequence<I...>) {
    std::uint64_t v[] = {from[I]...};
    ((v[I] = hidden(v[I])), ...);
    int y = small_work<Bytes>(x);
    ((v[I] = hidden(v[I])), ...);
    y += small_work<Bytes>(x + 1);
    ((v[I] = hidden(v[I])), ...);
    int wrong = 0;
    ((wrong += !(v[I] == from[I])), ...);
    return wrong * 1000 + y - 2 * x - 3;
}

// The number of values that came back changed, over frames that fit and frames that do not.
template <std::size_t Count>
int changed(const std::uint64_t (&from)[Count]) {
    using all = std::make_index_sequence<Count>;
    return kept_over_call<200>(from, 1, all{}) + kept_over_call<2500>(from, 2, all{}) +
           kept_over_call<100'000>(from, 3, all{});
}

// Local and never inlined, so that gcc knows what they touch; one calls another, so that hops lie
// within hops.
[[gnu::noinline]] int third(int x) {
    volatile char room[300];
    room[0] = static_cast<char>(x);
    return room[0] + 3;
}
[[gnu::noinline]] int second(int x) {
    volatile char room[1200];
    room[0] = static_cast<char>(x);
    return third(room[0]) + 2;
}
[[gnu::noinline]] int first(int x) {
    volatile char room[260];
    room[0] = static_cast<char>(x);
    return second(room[0]) + 1;
}

// Thirteen sums at once, of which no two are alike.
GROWTH_OPAQUE std::uint64_t many_sums(int rounds) {
    std::uint64_t a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8, i = 9, j = 10, k = 11,
                  l = 12, m = 13;
    for (int n = 0; n < rounds; ++n) {
        a += b ^ static_cast<std::uint64_t>(first(n & 15));
        b += c * 3, c += d ^ 5, d += e * 7, e += f ^ 9, f += g * 11, g += h ^ 13;
        h += i * 15, i += j ^ static_cast<std::uint64_t>(third(n & 7)), j += k * 17, k += l ^ 19;
        l += m * 21, m += a ^ 23;
    }
    return a ^ b ^ c ^ d ^ e ^ f ^ g ^ h ^ i ^ j ^ k ^ l ^ m;
}
// The same without a call.
GROWTH_OPAQUE std::uint64_t many_sums_plain(int rounds) {
    std::uint64_t a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8, i = 9, j = 10, k = 11,
                  l = 12, m = 13;
    for (int n = 0; n < rounds; ++n) {
        a += b ^ static_cast<std::uint64_t>((n & 15) + 6);
        b += c * 3, c += d ^ 5, d += e * 7, e += f ^ 9, f += g * 11, g += h ^ 13;
        h += i * 15, i += j ^ static_cast<std::uint64_t>((n & 7) + 3), j += k * 17, k += l ^ 19;
        l += m * 21, m += a ^ 23;
    }
    return a ^ b ^ c ^ d ^ e ^ f ^ g ^ h ^ i ^ j ^ k ^ l ^ m;
}

GROWTH_OPAQUE double polynomial(int rounds, bool calls) {
    double a = 1, b = 0.5, c = 0.25, d = 2, e = 3, f = 0.125, g = 7, h = 0.75;
    float p = 1.5f, q = 2.5f;
    for (int n = 0; n < rounds; ++n) {
        const int x = calls ? first(n & 15) - 6 : n & 15;
        a += b * x, b += c * 0.5, c = d - e * 0.25, d = e * 0.5 + f, e = g * 0.125 - h, f += 0.125;
        g = a * 0.0625 + h, h = b - 0.5;
        p = p * 0.5f + static_cast<float>(x), q = q * 0.25f + p;
    }
    return a + b + c + d + e + f + g + h + p + q;
}

GROWTH_SUBJECT("registers: integers across hops of local functions") {
    const std::uint64_t words[] = {0x1111, 0x2222, 0x3333, 0x4444, 0x5555, 0x6666, 0x7777,
                                   0x8888, 0x9999, 0xaaaa, 0xbbbb, 0xcccc, 0xdddd, 0xeeee,
                                   0xffff, 0x1234, 0x2345, 0x3456, 0x4567, 0x5678, 0x6789,
                                   0x789a, 0x89ab, 0x9abc, 0xabcd, 0xbcde, 0xcdef, 0xdef0};
    auto calls = [&] {
        EXPECT(changed(words) == 0);
        EXPECT(many_sums(20) == many_sums_plain(20));
    };
    at_each_depth(calls);
}

GROWTH_SUBJECT("registers: floating point across hops of local functions") {
    auto calls = [&] {
        EXPECT(polynomial(20, true) == polynomial(20, false));
    };
    at_each_depth(calls);
}

// Every register that takes an argument, at once.
GROWTH_OPAQUE double all_arguments(long a, double p, long b, double q, long c, double r, long d,
                                   double s, long e, double t, long f, double u, long g, double w,
                                   long h, double x) {
    ballast<2500> room;
    return static_cast<double>(a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h) +
           p + 2 * q + 3 * r + 4 * s + 5 * t + 6 * u + 7 * w + 8 * x + room.damage();
}

struct two_doubles {
    double a, b;
};
struct word_and_double {
    long a;
    double b;
};
GROWTH_OPAQUE two_doubles gives_two_doubles(double x) {
    ballast<2500> room;
    return {x + room.damage(), x + 1};
}
GROWTH_OPAQUE word_and_double gives_word_and_double(long x) {
    ballast<2500> room;
    return {x, static_cast<double>(x + 1 + room.damage())};
}
GROWTH_OPAQUE std::complex<long double> gives_complex(long double x) {
    ballast<2500> room;
    return {x + room.damage(), x + 1};
}
GROWTH_OPAQUE long double gives_long_double(long double x) {
    ballast<2500> room;
    return x / 3 + room.damage();
}

GROWTH_SUBJECT("registers: every argument and every result") {
    auto calls = [&] {
        EXPECT(all_arguments(1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 5.5, 6, 6.5, 7, 7.5, 8, 8.5) ==
               204 + 222.0);
        const auto d = gives_two_doubles(2.5);
        EXPECT(d.a == 2.5 && d.b == 3.5);
        const auto w = gives_word_and_double(7);
        EXPECT(w.a == 7 && w.b == 8.0);
        const auto c = gives_complex(1.25L);
        EXPECT(c.real() == 1.25L && c.imag() == 2.25L);
        const volatile long double seven = 7;
        EXPECT(gives_long_double(seven) == seven / 3);
    };
    at_each_depth(calls);
}

GROWTH_OPAQUE bool rounds_upward() {
    ballast<3000> room;
    return std::fegetround() == FE_UPWARD && room.damage() == 0;
}

GROWTH_SUBJECT("registers: the way of rounding is the same on the other side of a hop") {
    auto calls = [&] {
        std::fesetround(FE_UPWARD);
        const bool upward = rounds_upward();
        std::fesetround(FE_TONEAREST);
        EXPECT(upward);
    };
    at_each_depth(calls);
}

// --- every register, from assembly ---

// Needs as much stack and next to no register.
template <std::size_t Bytes>
GROWTH_OPAQUE void needs() {
    [[maybe_unused]] volatile char room[Bytes];
    room[0] = 0;
}

// Fills each register, calls f() and looks at which bytes of them changed. What f itself changes it
// changes on a plain thread as well, where nothing hops. Too large for a small stack.
class comparison {
  public:
    comparison(const growth::snapshot_kind& kind, void (*f)()) : kind_(kind), f_(f) {
        for (std::size_t i = 0; i < sizeof filled_.bytes; ++i)
            filled_.bytes[i] = static_cast<unsigned char>(i * 37 + i / 64 + 1);
        std::thread([this] {
            plain_ = filled_;
            kind_.take(f_, plain_.bytes);
        }).join();
    }

    // Bytes that f leaves as they are where nothing hops, and that changed now.
    GROWTH_OPAQUE int changed() {
        std::memcpy(&now_, &filled_, sizeof now_);
        kind_.take(f_, now_.bytes);
        int count = 0;
        for (std::size_t i = 0; i < kind_.bytes; ++i)
            count += plain_.bytes[i] == filled_.bytes[i] && now_.bytes[i] != filled_.bytes[i];
        return count;
    }
    // How many bytes that comparison is about.
    std::size_t compared() const {
        std::size_t count = 0;
        for (std::size_t i = 0; i < kind_.bytes; ++i) count += plain_.bytes[i] == filled_.bytes[i];
        return count;
    }

  private:
    const growth::snapshot_kind& kind_;
    void (*f_)();
    growth::snapshot filled_, plain_, now_;
};

GROWTH_SUBJECT("registers: all of them, over a hop") {
    for (const growth::snapshot_kind& kind : growth::snapshot_kinds()) {
        for (void (*const f)() : {&needs<300>, &needs<2500>, &needs<30'000>}) {
            const auto c = std::make_unique<comparison>(kind, f);
            EXPECT(c->compared() * 10 >= kind.bytes * 9);
            auto calls = [&] { EXPECT(c->changed() == 0); };
            at_each_depth(calls);
        }
    }
}

GROWTH_SUBJECT("registers: all of them, over a hop to a stack that was not there before") {
    for (const growth::snapshot_kind& kind : growth::snapshot_kinds()) {
        for (void (*const f)() :
             {&needs<100'000>, &needs<300'000>, &needs<700'000>, &needs<1'500'000>}) {
            const auto c = std::make_unique<comparison>(kind, f);
            EXPECT(c->changed() == 0);
            EXPECT(c->changed() == 0);
        }
    }
}

}  // namespace
