// SPDX-License-Identifier: MIT
// A mailbox on park and ready, for tests of the runtime alone.
#pragma once

#include "runtime/lock.h"
#include "runtime/park.h"

namespace pirn::test {

// A one-place mailbox on park and ready: hands a token between two parties.
class mailbox {
  public:
    void put() {
        rt::who sleeper;
        {
            const rt::no_preemption guard;
            rt::lock_guard hold(mu_);
            full_ = true;
            sleeper = sleeper_;
            sleeper_ = rt::who{};
        }
        if (sleeper) rt::ready(sleeper);
    }
    void take() {
        const rt::no_preemption guard;
        mu_.acquire();
        while (!full_) {
            rt::parker self;
            sleeper_ = self.name();
            self.park([](void* mu) { static_cast<rt::lock*>(mu)->release(); }, &mu_,
                      rt::wait_reason::forever);
            mu_.acquire();
        }
        full_ = false;
        mu_.release();
    }

  private:
    rt::lock mu_{rt::lock_rank::leaf};
    bool full_ = false;
    rt::who sleeper_;
};

}  // namespace pirn::test
