// SPDX-License-Identifier: MIT
// EXPECT stdout: caught 6 of 6, 0 damaged
// operator new that fails throws, which takes much more stack than its succeeding does; a goroutine
// on a small stack catches that as any code does.
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <new>

#include "test/prog/neighbours.h"

namespace {

std::atomic<int> caught{0};

template <class F>
[[gnu::noinline]] void expect_bad_alloc(F f) {
    try {
        f();
    } catch (const std::bad_alloc&) {
        ++caught;
    }
}

}  // namespace

int main() {
    return pirn::run([] {
        static volatile std::size_t too_much = SIZE_MAX / 4;
        [[maybe_unused]] static void* volatile kept = nullptr;
        int damaged = 0;
        // The first time, the unwinder looks for its tables, too.
        for (int round = 0; round < 2; ++round) {
            damaged += neighbours::damaged_by([] {
                expect_bad_alloc([] { kept = ::operator new(too_much); });
                expect_bad_alloc([] { kept = ::operator new[](too_much); });
                expect_bad_alloc([] { kept = new long[too_much]; });
            });
        }
        std::printf("caught %d of 6, %d damaged\n", caught.load(), damaged);
    });
}
