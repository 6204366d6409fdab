// SPDX-License-Identifier: MIT
// Code that was compiled for growing stacks, among objects that were not: what it calls by name is
// its own copy or is known to be foreign, whichever object the linker saw first.
#include <cstdlib>
#include <memory>

#include "test/growth/mix/mixed.h"
#include "test/growth/subject.h"

using growth::at_each_depth;

namespace {

// What mix_test.py expects of this link.
int expected(const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr ? std::atoi(value) : -1;
}

GROWTH_OPAQUE int our_room(int n) {
    growth::ballast<3000> room;
    return n + 1 + room.damage();
}

mixed::unary* const volatile our_address_of_chain = &mixed::chain;

GROWTH_SUBJECT("mix: inline functions of both worlds") {
    auto calls = [&] {
        EXPECT(mixed::chain(20) == 20 && mixed::their_chain(20) == 20);
        EXPECT(our_address_of_chain(20) == 20 && mixed::their_address_of_chain()(20) == 20);
        EXPECT(our_address_of_chain == mixed::their_address_of_chain());
    };
    at_each_depth(calls);
}

GROWTH_SUBJECT("mix: explicit instances") {
    auto calls = [&] {
        mixed::instance<int> i;
        EXPECT(i.chain(20) == 20 && mixed::their_instance(20) == 20);
        int (mixed::instance<int>::*const volatile member)(int) = &mixed::instance<int>::chain;
        EXPECT((i.*member)(20) == 20);
    };
    at_each_depth(calls);
}

GROWTH_SUBJECT("mix: constructors") {
    auto calls = [&] { EXPECT(mixed::built(20).depth == 20 && mixed::their_built(20) == 20); };
    at_each_depth(calls);
}

GROWTH_SUBJECT("mix: a weak default and what overrides it") {
    auto calls = [&] {
        EXPECT(mixed::mixed_hook(3) == expected("MIX_HOOK"));
        EXPECT(mixed::their_hook(3) == expected("MIX_HOOK"));
        mixed::unary* const volatile pointer = &mixed::mixed_hook;
        EXPECT(pointer(3) == expected("MIX_HOOK"));
    };
    at_each_depth(calls);
}

GROWTH_SUBJECT("mix: a weak function that may not be there") {
    auto calls = [&] {
        const int got = mixed::mixed_maybe != nullptr ? mixed::mixed_maybe(1) : -1;
        EXPECT(got == expected("MIX_MAYBE"));
    };
    at_each_depth(calls);
}

GROWTH_SUBJECT("mix: members of an archive") {
    auto calls = [&] {
        EXPECT(mixed::first_member(20) == 21);
        // Only through a pointer, so that no call names it.
        mixed::unary* const volatile pointer = &mixed::second_member;
        EXPECT(pointer(20) == 22);
    };
    at_each_depth(calls);
}

GROWTH_SUBJECT("mix: virtual functions, types and exceptions") {
    auto calls = [&] {
        mixed::shared_class ours;
        const std::unique_ptr<mixed::shared_class> theirs(mixed::make_theirs());
        EXPECT(ours.depth(20) == 20 && theirs->depth(20) == 40);
        EXPECT(mixed::call_depth(ours, 20) == 20 && mixed::call_depth(*theirs, 20) == 40);
        int depth = 0;
        try {
            mixed::throw_theirs(20);
        } catch (const mixed::shared_error& e) {
            depth = e.text == "theirs" ? e.depth : -1;
        }
        EXPECT(depth == 20);
    };
    at_each_depth(calls);
}

GROWTH_SUBJECT("mix: one static and one thread_local variable") {
    const int before = mixed::counter();
    ++mixed::counter();
    EXPECT(mixed::their_count() == before + 2 && mixed::counter() == before + 2);
    const int of_thread = mixed::of_thread;
    ++mixed::of_thread;
    EXPECT(mixed::their_thread_count() == of_thread + 2 && mixed::of_thread == of_thread + 2);
}

GROWTH_SUBJECT("mix: a shared object") {
    auto calls = [&] {
        EXPECT(mixed::shared_chain(20) == 20 && mixed::shared_calls(&our_room, 5) == 6);
        EXPECT(mixed::shared_calls(&mixed::shared_chain, 20) == 20);
        EXPECT(mixed::shared_many(1, 2, 3, 4, 5, 6, 7, 8, 9, 10.0) == 55);
        int caught = 0;
        try {
            mixed::shared_throws(20);
        } catch (int e) {
            caught = e;
        }
        EXPECT(caught == 20);
    };
    at_each_depth(calls);
}

}  // namespace

// A default that others may replace: callers must not be bound to it.
extern "C" [[gnu::weak]] int mixed::mixed_hook(int x) {
    growth::ballast<2000> room;
    return x + room.damage();
}
