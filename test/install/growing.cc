// SPDX-License-Identifier: MIT
// Whether a goroutine is on a small stack that grows: a call with a large frame hops then, and only
// then. A program of its own; with WAY defined, one object of the program of mixed_main.cc.
#include <cstdint>
#include <cstdio>

#include <pirn/debug.h>
#include <pirn/runtime.h>

// One of all objects' is in a mixed program, and each object can call it.
[[gnu::noinline]] inline int shared_large_frame(int n) {
    char frame[100'000];
    frame[0] = static_cast<char>(n);
    asm volatile("" ::"r"(frame) : "memory");  // all of it is there, as far as a compiler knows
    return frame[0] + 1;
}

// Each object has its own, which is as the object is.
[[gnu::noinline]] static int own_large_frame(int n) {
    char frame[100'000];
    frame[0] = static_cast<char>(n);
    asm volatile("" ::"r"(frame) : "memory");
    return frame[0] + 1;
}

// Starts a goroutine of this object's and waits until it has told what it found.
static void tell(const char* way) {
    bool told = false;
    pirn::go([&] {
        const std::uint64_t before = pirn::runtime_stats().hops;
        const int own = own_large_frame(1);
        const bool hopped = pirn::runtime_stats().hops != before;
        std::printf("%s: %s, %d\n", way, hopped ? "grew" : "did not grow",
                    own + shared_large_frame(2));
        told = true;
    });
    while (!told) pirn::yield();
}

#ifdef WAY
#define NAME_OF(way) #way
#define NAME(way) NAME_OF(way)
#define FUNCTION_OF(way) tell_##way
#define FUNCTION(way) FUNCTION_OF(way)
void FUNCTION(WAY)() { tell(NAME(WAY)); }
#else
int main() {
    return pirn::run([] { tell("goroutine"); }, {.procs = 1});
}
#endif
