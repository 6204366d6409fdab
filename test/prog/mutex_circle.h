// SPDX-License-Identifier: MIT
// Goroutines that wait for each other's mutexes, for the programs that must be told of it.
#pragma once

#include <pirn/mutex.h>
#include <pirn/runtime.h>
#include <pirn/wait_group.h>

// Each of n goroutines locks its own mutex and, when all have, the next one's. The caller runs on:
// a program in which something runs is not one where all are asleep.
inline void circle(int n, const char* const (&names)[3] = {"", "", ""}) {
    static pirn::mutex mutexes[3];
    static pirn::wait_group have_one;
    have_one.add(n);
    for (int i = 0; i < n; ++i) {
        pirn::go({.name = names[i]}, [i, n] {
            mutexes[i].lock();
            have_one.done();
            have_one.wait();
            mutexes[(i + 1) % n].lock();
        });
    }
    for (;;) pirn::yield();
}
