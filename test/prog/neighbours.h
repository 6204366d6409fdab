// SPDX-License-Identifier: MIT
// Goroutines that are parked all around another one, on small stacks that lie side by side: what is
// written past the end of a stack damages one of theirs.
#pragma once

#include <atomic>
#include <cstdint>

#include <pirn/chan.h>
#include <pirn/runtime.h>
#include <pirn/wait_group.h>

#include "arch/arch.h"

namespace neighbours {

inline constexpr int k_each_side = 40;

// Keeps a pattern in its frame while it is parked; whether it is still there.
[[gnu::noinline]] inline bool stay(int number, const pirn::chan<void>& leave) {
    volatile unsigned char pattern[400];
    for (unsigned i = 0; i < sizeof pattern; ++i)
        pattern[i] = static_cast<unsigned char>(i * 7 + static_cast<unsigned>(number));
    (void)leave.recv();
    for (unsigned i = 0; i < sizeof pattern; ++i) {
        if (pattern[i] != static_cast<unsigned char>(i * 7 + static_cast<unsigned>(number)))
            return false;
    }
    return true;
}

// Whether the caller's stack ends within the 2 KB below its frame.
[[gnu::noinline]] inline bool on_small_stack() {
    const auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
    return here - pirn::arch::limit() < 2048;
}

// Runs f in a goroutine that has a small stack between those of the others. How many of these were
// damaged; all of them if f's stack was not small.
template <class F>
int damaged_by(F f) {
    const auto started = pirn::make_chan<void>(2 * k_each_side + 1);
    const auto begin = pirn::make_chan<void>(), leave = pirn::make_chan<void>();
    std::atomic<int> damaged{0};
    pirn::wait_group others, middle;
    for (int i = 0; i <= 2 * k_each_side; ++i) {
        if (i == k_each_side) {
            middle.go([&] {
                started.send();
                (void)begin.recv();
                if (!on_small_stack()) damaged = 2 * k_each_side;
                f();
            });
            continue;
        }
        others.go([&, i] {
            started.send();
            if (!stay(i, leave)) ++damaged;
        });
    }
    for (int i = 0; i <= 2 * k_each_side; ++i) (void)started.recv();
    begin.close();
    middle.wait();
    leave.close();
    others.wait();
    return damaged;
}

}  // namespace neighbours
