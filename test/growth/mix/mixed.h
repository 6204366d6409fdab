// SPDX-License-Identifier: MIT
// What objects of both worlds share: inline functions, templates, classes and data, of which the
// linker keeps one copy, or should. Each is compiled through the pass and without it.
#pragma once

#include <cstddef>
#include <string>

namespace mixed {

// Takes 900 bytes for each level: twenty levels are far more than a small block has.
[[gnu::noinline]] inline int chain(int n) {
    volatile char room[900];
    room[0] = 1;
    room[899] = 1;
    return n == 0 ? 0 : chain(n - 1) + room[899];
}

// Instantiated explicitly in one object (instance.cc), which is of the one world or the other.
template <class T>
struct instance {
    [[gnu::noinline]] T chain(T n) {
        volatile char room[900];
        room[0] = 1;
        room[899] = 1;
        return n == 0 ? 0 : chain(n - 1) + room[899];
    }
};
extern template struct instance<int>;

// Both symbols of its constructor lie in one group.
struct built {
    int depth;
    [[gnu::noinline]] explicit built(int n) {
        volatile char room[900];
        room[0] = 1;
        room[899] = 1;
        depth = n == 0 ? 0 : built(n - 1).depth + room[899];
    }
};

// A class whose virtual functions and type are everywhere.
struct shared_class {
    virtual ~shared_class() = default;
    [[gnu::noinline]] virtual int depth(int n) { return chain(n); }
};
struct shared_error {
    std::string text;
    int depth;
};

// One variable, whoever counts.
inline int& counter() {
    static int count = chain(0);
    return count;
}
inline thread_local int of_thread = chain(3);

// The weak default of ours.cc; theirs.cc may have a strong one.
extern "C" int mixed_hook(int x);
// Nowhere, or in optional.cc.
extern "C" [[gnu::weak]] int mixed_maybe(int x);
// In members of an archive.
int first_member(int n);
int second_member(int n);

// Foreign, in theirs.cc.
int their_chain(int n);
int their_instance(int n);
int their_built(int n);
int their_hook(int x);
int their_count();
int their_thread_count();
int call_depth(shared_class& c, int n);
shared_class* make_theirs();
void throw_theirs(int n);
using unary = int(int);
unary* their_address_of_chain();

// In a shared object, which is of the one world or the other.
int shared_chain(int n);
int shared_calls(unary* f, int n);
int shared_many(int a, int b, int c, int d, int e, int f, int g, int h, long i, double x);
void shared_throws(int n);

}  // namespace mixed
