// SPDX-License-Identifier: MIT
// mutex: mutual exclusion for goroutines and threads.
#pragma once

#include <cstdint>

namespace pirn {

// Lockable (std::lock_guard, std::unique_lock and std::scoped_lock take it); four bytes; usable as
// a global before main. Not recursive. It does not belong to a goroutine: one may lock it and
// another unlock it. What happens before an unlock is visible after every later lock.
//
// It may be destroyed as soon as its destroyer has locked and unlocked it, also while whoever
// unlocked it before is still inside unlock().
//
// In normal mode whoever comes may take a free mutex, although others have waited longer: one that
// runs has no switch to pay. A waiter that has failed for 1 ms sets starvation mode, in which each
// unlock hands the mutex over to the first in line, until one gets it that has waited for less or
// is the last (the rules of Go's sync.Mutex).
class mutex {
  public:
    constexpr mutex() noexcept = default;
    mutex(const mutex&) = delete;
    mutex& operator=(const mutex&) = delete;

    // Blocks until the mutex is free. Must not be called by who holds it.
    void lock();
    // True: locked. Does not block; fails only while someone holds it.
    bool try_lock() noexcept;
    // Fatal error where it is not locked: "sync: unlock of unlocked mutex".
    void unlock();

  private:
    // An atomic word; only mutex.cc knows its bits.
    std::uint32_t state_ = 0;
};

}  // namespace pirn
