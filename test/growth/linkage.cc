// SPDX-License-Identifier: MIT
// Functions by unusual names and of unusual linkage: aliases, weak ones, ifuncs, hidden ones, local
// ones of the same name, inline ones that foreign code has too, and constructors before main.
#include <memory>
#include <string>
#include <vector>

#include "test/growth/foreign.h"
#include "test/growth/subject.h"

using growth::at_each_depth;
using growth::ballast;
using growth::hidden;

#define NEEDS_ROOM(x, add)                 \
    ballast<2000> room;                    \
    return (x) + (add) + room.damage();

extern "C" {

int with$dollars$(int x);
GROWTH_OPAQUE int with$dollars$(int x) { NEEDS_ROOM(x, 1) }

// The pass's own names for things begin like this one.
int split$name(int x);
GROWTH_OPAQUE int split$name(int x) { NEEDS_ROOM(x, 2) }

int dotted(int x) asm("dotted.name.0.cold");
GROWTH_OPAQUE int dotted(int x) { NEEDS_ROOM(x, 3) }

int größe(int x);
GROWTH_OPAQUE int größe(int x) { NEEDS_ROOM(x, 4) }

int growth_original(int x);
GROWTH_OPAQUE int growth_original(int x) { NEEDS_ROOM(x, 5) }
int growth_alias(int x) __attribute__((alias("growth_original")));

int growth_weak_default(int x);
GROWTH_OPAQUE [[gnu::weak]] int growth_weak_default(int x) { NEEDS_ROOM(x, 6) }
[[gnu::weak]] int growth_weak_undefined(int x);

[[gnu::visibility("hidden")]] int growth_hidden(int x);
GROWTH_OPAQUE int growth_hidden(int x) { NEEDS_ROOM(x, 7) }

[[gnu::visibility("protected")]] int growth_protected(int x);
GROWTH_OPAQUE int growth_protected(int x) { NEEDS_ROOM(x, 8) }

int growth_resolved(int x);
GROWTH_OPAQUE static int growth_resolved_one(int x) { NEEDS_ROOM(x, 9) }
// Runs before anything is set up: it must not need anything.
using unary = int(int);
__attribute__((no_sanitize("undefined"))) unary* growth_resolve() { return &growth_resolved_one; }
int growth_resolved(int x) __attribute__((ifunc("growth_resolve")));
static int growth_resolved_here(int x) __attribute__((ifunc("growth_resolve")));
}

namespace {

// In a section of its own, cold, and with landing pads in yet another place.
GROWTH_OPAQUE [[gnu::cold]] int cold(int x) { NEEDS_ROOM(x, 10) }
GROWTH_OPAQUE [[gnu::section(".text.growth_special")]] int placed(int x) { NEEDS_ROOM(x, 11) }
GROWTH_OPAQUE [[gnu::aligned(4096)]] int at_page_start(int x) { NEEDS_ROOM(x, 12) }

template <class T>
struct local_name {
    GROWTH_OPAQUE static T of(T x) { NEEDS_ROOM(x, 13) }
};

// Each of the two symbols of a constructor is in one group with the other.
struct derived_string : virtual std::string {
    explicit derived_string(int n) : std::string(static_cast<std::size_t>(n), 'x') {
        ballast<2000> room;
        append(static_cast<std::size_t>(room.damage()), '!');
    }
};
struct more_derived : derived_string {
    explicit more_derived(int n) : std::string(static_cast<std::size_t>(n), 'y'),
                                   derived_string(1) {}
};

struct made_early {
    int value;
    made_early() : value(with$dollars$(100)) {}
};
const made_early early;

int constructed = 0;
[[gnu::constructor]] void construct() { constructed = growth_hidden(200); }

// A cold part with a call of its own, far from its function.
GROWTH_OPAQUE int with_cold_part(int x) {
    if (__builtin_expect(x < 0, 0)) {
        std::vector<std::string> parts;
        for (int i = 0; i < 10; ++i) parts.push_back(std::to_string(x) + " is negative");
        throw parts;
    }
    return cold(x) + 1;
}

GROWTH_SUBJECT("linkage: unusual names") {
    auto calls = [&] {
        EXPECT(with$dollars$(1) == 2 && split$name(1) == 3 && dotted(1) == 4 && größe(1) == 5);
        int (*const volatile by_pointer)(int) = &größe;
        EXPECT(by_pointer(2) == 6);
    };
    at_each_depth(calls);
}

GROWTH_SUBJECT("linkage: aliases, weak, hidden and protected functions") {
    auto calls = [&] {
        EXPECT(growth_original(1) == 6 && growth_alias(1) == 6);
        EXPECT(growth_weak_default(1) == 7);
        EXPECT(hidden(&growth_weak_undefined) == nullptr);
        EXPECT(growth_hidden(1) == 8 && growth_protected(1) == 9);
    };
    at_each_depth(calls);
}

GROWTH_SUBJECT("linkage: functions that are resolved when the program starts") {
    auto calls = [&] {
        EXPECT(growth_resolved(1) == 10 && growth_resolved_here(1) == 10);
        int (*const volatile resolved)(int) = &growth_resolved;
        EXPECT(resolved(2) == 11);
        int (*const volatile resolved_here)(int) = &growth_resolved_here;
        EXPECT(resolved_here(2) == 11);
    };
    at_each_depth(calls);
}

GROWTH_SUBJECT("linkage: functions in unusual places") {
    auto calls = [&] {
        EXPECT(cold(1) == 11 && placed(1) == 12 && at_page_start(1) == 13);
        int (*const volatile by_pointer)(int) = &at_page_start;
        EXPECT(by_pointer(2) == 14);
        EXPECT(local_name<long>::of(1) == 14 && local_name<short>::of(1) == 14);
        EXPECT(with_cold_part(1) == 12);
        std::size_t thrown = 0;
        try {
            with_cold_part(-1);
        } catch (const std::vector<std::string>& parts) {
            thrown = parts.size();
        }
        EXPECT(thrown == 10);
    };
    at_each_depth(calls);
}

GROWTH_SUBJECT("linkage: inline functions that foreign code has as well") {
    auto calls = [&] {
        EXPECT(foreign::shared_inline(20) == 20 && foreign::apply_inline(20) == 20);
        int (*const volatile by_pointer)(int) = &foreign::shared_inline;
        EXPECT(by_pointer(10) == 10);
        const std::unique_ptr<foreign::shape> ours(new foreign::shape);
        EXPECT(ours->area(2) == 20);
    };
    at_each_depth(calls);
}

GROWTH_SUBJECT("linkage: constructors, of both symbols and before main") {
    EXPECT(early.value == 101 && constructed == 207);
    auto calls = [&] {
        const derived_string complete(3);
        const more_derived base(2);
        EXPECT(complete == "xxx" && base == "yy");
    };
    at_each_depth(calls);
}

}  // namespace
