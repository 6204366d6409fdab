// SPDX-License-Identifier: MIT
// Calls whose target is found at run time: virtual, through pointers to functions and to members,
// std::function, tail calls, jump tables and computed gotos.
#include <cstdint>
#include <functional>
#include <memory>

#include "test/growth/foreign.h"
#include "test/growth/subject.h"

using growth::at_each_depth;
using growth::ballast;
using growth::hidden;

namespace {

// --- virtual functions ---

struct left {
    virtual ~left() = default;
    virtual int first(int x) { return x + 1; }
    virtual left* clone() { return new left(*this); }
    long l = 100;
};
struct right {
    virtual ~right() = default;
    virtual int second(int x) { return x + 2; }
    virtual right* copy() { return new right(*this); }
    // A call through right* reaches both::many with this moved and arguments on the stack.
    virtual long many(int a, int b, int c, int d, int e, int f, int g, int h, double x) {
        return a + b + c + d + e + f + g + h + static_cast<long>(x);
    }
    long r = 200;
};
struct both : left, right {
    int first(int x) override {
        ballast<1500> room;
        return x + 10 + room.damage();
    }
    int second(int x) override {
        ballast<1500> room;
        return x + 20 + static_cast<int>(own) + room.damage();
    }
    both* clone() override { return new both(*this); }
    both* copy() override {
        ballast<1500> room;
        auto* const c = new both(*this);
        c->own += room.damage();
        return c;
    }
    long many(int a, int b, int c, int d, int e, int f, int g, int h, double x) override {
        ballast<1500> room;
        return own * (a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h +
                      9 * static_cast<long>(x)) +
               room.damage();
    }
    long own = 1000;
};
struct root {
    virtual ~root() = default;
    virtual int through_virtual_base(int x) = 0;
    int base_value = 7;
};
struct middle : virtual root {
    int through_virtual_base(int x) override {
        ballast<1500> room;
        return x + base_value + middle_value + room.damage();
    }
    int middle_value = 70;
};
struct bottom : middle, left {
    long filler[10] = {};
};
struct our_shape : foreign::shape {
    long area(int scale) override {
        ballast<1500> room;
        return 7L * scale + room.damage();
    }
};

GROWTH_OPAQUE int call_first(left* p, int x) { return p->first(x) + 1; }
GROWTH_OPAQUE int call_second(right* p, int x) { return p->second(x) + 1; }
GROWTH_OPAQUE int tail_second(right* p, int x) { return p->second(x); }
GROWTH_OPAQUE long call_many(right* p) { return p->many(1, 2, 3, 4, 5, 6, 7, 8, 9.0); }
GROWTH_OPAQUE int call_root(root* p, int x) { return p->through_virtual_base(x); }
GROWTH_OPAQUE long tail_area(foreign::shape* p, int x) { return p->area(x); }

// They stand elsewhere, so that only the calls need a stack.
both a_both;
bottom a_bottom;
left a_left;
our_shape a_shape;

GROWTH_SUBJECT("indirect: virtual calls that adjust this and the result") {
    auto calls = [&] {
        EXPECT(call_first(&a_left, 1) == 3 && call_first(&a_both, 1) == 12);
        EXPECT(call_second(&a_both, 1) == 1022 && tail_second(&a_both, 1) == 1021);
        EXPECT(call_many(&a_both) == 285'000);
        EXPECT(call_root(&a_bottom, 1) == 78);
    };
    at_each_depth(calls);
    auto results = [&] {
        left* l = &a_both;
        const std::unique_ptr<left> cloned(hidden(l)->clone());
        EXPECT(call_first(cloned.get(), 2) == 13);
        right* r = &a_both;
        const std::unique_ptr<right> copied(hidden(r)->copy());
        EXPECT(copied->r == 200 && call_second(copied.get(), 3) == 1024);
    };
    at_each_depth(results);
}

GROWTH_SUBJECT("indirect: virtual calls into foreign code and out of it") {
    const std::unique_ptr<foreign::shape> s(foreign::make_shape());
    auto calls = [&] {
        EXPECT(s->area(3) == 30 && tail_area(s.get(), 4) == 40 && tail_area(&a_shape, 4) == 28);
        EXPECT(foreign::measure(*s, 5) == 50 && foreign::measure(a_shape, 5) == 35);
    };
    at_each_depth(calls);
    auto in_memory = [&] {
        const foreign::big in = foreign::make_big(1);
        const foreign::big out = s->outline(1, 2, 3, 4, 5, 6, 7, 8.0, in);
        EXPECT(out.v[0] == 37 && out.v[1] == 2 && out.v[63] == 64);
    };
    at_each_depth(in_memory, 8);
}

// --- pointers ---

GROWTH_OPAQUE int plus_one(int x) {
    ballast<1300> room;
    return x + 1 + room.damage();
}
GROWTH_OPAQUE int twice(int x) {
    ballast<1300> room;
    return 2 * x + room.damage();
}

class counter {
  public:
    int add(int x) {
        ballast<1300> room;
        value_ += x + room.damage();
        return value_;
    }

  private:
    int value_ = 5;
};

GROWTH_SUBJECT("indirect: pointers to functions and members") {
    auto calls = [&] {
        int (*const volatile ours)(int) = &plus_one;
        EXPECT(ours(1) == 2);
        EXPECT(foreign::adder()(1) == 1001);
        EXPECT(foreign::call(&plus_one, 5) == 6 && foreign::call(foreign::adder(), 5) == 1005);
        counter c;
        int (counter::*volatile add)(int) = &counter::add;
        EXPECT((c.*add)(3) == 8);
        int (right::*volatile second)(int) = &right::second;
        EXPECT((static_cast<right&>(a_both).*second)(1) == 1021);
        int (both::*volatile derived)(int) = static_cast<int (both::*)(int)>(second);
        EXPECT((a_both.*derived)(2) == 1022);
    };
    at_each_depth(calls);
}

// Holds its function on the heap, and that function's copy too.
GROWTH_OPAQUE int captures_much(int x) {
    const std::function<int(int)> f = [big = foreign::make_big(1)](int y) {
        ballast<1300> room;
        return static_cast<int>(big.v[63]) + y + room.damage();
    };
    const std::function<int(int)> copy = f;
    return copy(x);
}

GROWTH_SUBJECT("indirect: std::function and lambdas as C callbacks") {
    auto calls = [&] {
        std::function<int(int)> f = [](int x) {
            ballast<1300> room;
            return x + 1 + room.damage();
        };
        EXPECT(f(3) == 4);
        f = foreign::deep;
        EXPECT(f(20) == 20);
        EXPECT(captures_much(1) == 65);
        int sum = 0;
        const auto add = [](void* context, int x) {
            ballast<1300> room;
            return *static_cast<int*>(context) += x + room.damage();
        };
        EXPECT(foreign::call_with(add, &sum, 4) == 4 && foreign::call_with(add, &sum, 4) == 8);
    };
    at_each_depth(calls);
}

// --- tail calls ---

int is_odd(int n);
GROWTH_OPAQUE int is_even(int n) {
    return n == 0 ? 1 : is_odd(n - 1);
}
GROWTH_OPAQUE int is_odd(int n) {
    return n == 0 ? 0 : is_even(n - 1);
}

// The pointer is the result of arithmetic, as one into a jump table is.
GROWTH_OPAQUE int tail_by_sum(std::uintptr_t part, int x) {
    const std::uintptr_t whole = part + reinterpret_cast<std::uintptr_t>(&plus_one);
    return reinterpret_cast<int (*)(int)>(whole)(x);
}
GROWTH_OPAQUE int tail_by_xor(std::uintptr_t a, std::uintptr_t b, int x) {
    return reinterpret_cast<int (*)(int)>(a ^ b)(x);
}
using unary = int(int);
GROWTH_OPAQUE int tail_by_index(unary* const* table, int i, int x) { return table[i & 3](x); }

GROWTH_OPAQUE long all_of(long a, long b, long c, long d, long e, long f, long g, long h, long i,
                          long j) {
    ballast<1500> room;
    return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h + 9 * i + 10 * j +
           room.damage();
}
// Where its caller put the arguments on the stack, it puts those of its own tail call.
GROWTH_OPAQUE long rotated(long a, long b, long c, long d, long e, long f, long g, long h, long i,
                           long j) {
    return all_of(b, c, d, e, f, g, h, i, j, a);
}
GROWTH_OPAQUE long rotated_after_hop(long a, long b, long c, long d, long e, long f, long g, long h,
                                     long i, long j) {
    {
        ballast<1500> room;
        a += room.damage();
    }
    return rotated(b, c, d, e, f, g, h, i, j, a);
}
GROWTH_OPAQUE long foreign_tail(int a, int b, int c, int d, int e, int f, int g, int h, long i,
                                long j, long k, double x, double y) {
    return foreign::many(b, a, c, d, e, f, g, h, k, j, i, y, x);
}

GROWTH_SUBJECT("indirect: tail calls") {
    auto calls = [&] {
        const auto address = reinterpret_cast<std::uintptr_t>(&twice);
        const auto part = address - reinterpret_cast<std::uintptr_t>(&plus_one);
        EXPECT(tail_by_sum(part, 21) == 42);
        EXPECT(tail_by_xor(address ^ 0x5555, 0x5555, 4) == 8);
        unary* const table[4] = {&plus_one, &twice, foreign::adder(), &foreign::deep};
        EXPECT(tail_by_index(table, 0, 7) == 8 && tail_by_index(table, 1, 7) == 14);
        EXPECT(tail_by_index(table, 2, 7) == 1007 && tail_by_index(table, 3, 7) == 7);
        EXPECT(rotated(1, 2, 3, 4, 5, 6, 7, 8, 9, 10) == 340);
        EXPECT(rotated_after_hop(1, 2, 3, 4, 5, 6, 7, 8, 9, 10) == 305);
        EXPECT(foreign_tail(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12.0, 13.0) == 91);
    };
    at_each_depth(calls);
    EXPECT(is_even(growth::k_deepest) == 1);
}

// --- jumps inside a function ---

GROWTH_OPAQUE int by_table(int x, int y) {
    switch (x) {
    case 0: return plus_one(y);
    case 1: return twice(y) + 2;
    case 2: return y * 7;
    case 3: return foreign::deep(2);
    case 4: return y - 9;
    case 5: return y ^ 55;
    case 6: return twice(2) * y;
    case 7: return 99;
    case 8: return foreign::adder()(y);
    default: return -1;
    }
}
// The same with nothing to come back for: the jump is the last thing that each way does.
GROWTH_OPAQUE int by_table_of_tails(int x, int y) {
    switch (x) {
    case 0: return plus_one(y);
    case 1: return twice(y);
    case 2: return foreign::deep(y);
    case 3: return is_even(y);
    case 4: return is_odd(y);
    case 5: return foreign::wide(y);
    default: return plus_one(-y);
    }
}

// Runs a program of letters: each is a call, so that jumps and calls take turns.
GROWTH_OPAQUE int by_labels(const char* program, int x) {
    static void* const table[] = {&&add, &&times, &&far, &&end};
    goto* table[*program - 'a'];
add:
    x = plus_one(x);
    goto* table[*++program - 'a'];
times:
    x = twice(x);
    goto* table[*++program - 'a'];
far:
    x = foreign::adder()(x);
    goto* table[*++program - 'a'];
end:
    return x;
}
GROWTH_OPAQUE int by_label_differences(const char* program, int x) {
    static const int table[] = {0, static_cast<int>(static_cast<char*>(&&times) -
                                                    static_cast<char*>(&&add)),
                                static_cast<int>(static_cast<char*>(&&end) -
                                                 static_cast<char*>(&&add))};
    goto*(static_cast<char*>(&&add) + table[*program - 'a']);
add:
    x = plus_one(x);
    goto*(static_cast<char*>(&&add) + table[*++program - 'a']);
times:
    x = twice(x);
    goto*(static_cast<char*>(&&add) + table[*++program - 'a']);
end:
    return x;
}
GROWTH_OPAQUE int by_labels_on_stack(const char* program, int x) {
    void* table[3];
    table[0] = &&add;
    table[1] = &&times;
    table[2] = &&end;
    asm volatile("" : : "r"(table) : "memory");
    goto* table[*program - 'a'];
add:
    x = plus_one(x);
    goto* table[*++program - 'a'];
times:
    x = twice(x);
    goto* table[*++program - 'a'];
end:
    return x;
}

GROWTH_SUBJECT("indirect: jump tables") {
    auto calls = [&] {
        int sum = 0;
        for (int i = 0; i < 10; ++i) sum += by_table(i, 5);
        EXPECT(sum == 6 + 12 + 35 + 2 - 4 + 50 + 20 + 99 + 1005 - 1);
        sum = 0;
        for (int i = 0; i < 7; ++i) sum += by_table_of_tails(i, 4);
        EXPECT(sum == 5 + 8 + 4 + 1 + 0 + 5 - 3);
    };
    at_each_depth(calls);
}

GROWTH_SUBJECT("indirect: computed gotos") {
    auto calls = [&] {
        EXPECT(by_labels("abcabd", 1) == 2 * (2 * 2 + 1000 + 1));
        EXPECT(by_label_differences("abababc", 1) == 22);
        EXPECT(by_labels_on_stack("abbabc", 3) == 34);
    };
    at_each_depth(calls);
}

}  // namespace
