// SPDX-License-Identifier: MIT
// The game of the workload cond_pingpong, for the C++ contenders: they differ in what they wait on.
#pragma once

#include <cstdint>
#include <mutex>

#include "harness/harness.h"

namespace bench {

// Two players, of whom one has the ball, under one lock; each waits on a condition of its own.
template <class Mutex, class Condition>
class table {
  public:
    // Plays so many strokes as player 0 or 1: takes the ball and gives it to the other.
    void play(int me, std::uint64_t strokes) {
        for (std::uint64_t i = 0; i < strokes; i++) {
            std::unique_lock lock(mutex_);
            while (has_ball_ != me) arrived_[me].wait(lock);
            strokes_++;
            has_ball_ = 1 - me;
            arrived_[1 - me].notify_one();
        }
    }
    void check(std::uint64_t strokes) const {
        if (strokes_ != strokes) fail("a stroke was lost");
    }

  private:
    Mutex mutex_;
    Condition arrived_[2];
    int has_ball_ = 0;
    std::uint64_t strokes_ = 0;
};

}  // namespace bench
