// SPDX-License-Identifier: MIT
// What layers above keep for use again (sync/pool.cc), to be given back when it is not used: sysmon
// makes it older now and then, also while the program does nothing.
#pragma once

#include <cstdint>

namespace pirn::rt {

struct sched;

// The Ps that nobody has, for as long as this stands: what is kept for one of them may be touched.
// It is the scheduler's lock: while it is held nothing but that.
class idle_ps {
  public:
    explicit idle_ps(sched* s);
    ~idle_ps();
    idle_ps(const idle_ps&) = delete;
    idle_ps& operator=(const idle_ps&) = delete;

    // By where.h's numbers.
    bool has(std::uint32_t number) const;

  private:
    sched* s_;
};

struct aging {
    // What age has found.
    struct outcome {
        bool kept = false;       // there is something that may grow older
        bool unwanted = false;   // there is something to be given back
    };
    // Makes all one age older. On sysmon's thread.
    outcome (*age)(sched* s);
    // Gives back what is unwanted, which may run the user's code. On a goroutine.
    void (*sweep)();
    // In the child of a fork.
    void (*forget)();
};

// How long an age is, in nanoseconds; tests make it shorter.
std::int64_t age_ns();
void set_age_ns(std::int64_t ns);

// From here on; static.
void set_aging(const aging* what);
// Null: there is nothing.
const aging* current_aging();

}  // namespace pirn::rt
