// SPDX-License-Identifier: MIT
// goroutine_scope: goroutines that have ended when a scope is left.
#pragma once

#include <utility>

#include <pirn/wait_group.h>

namespace pirn {

// Its destructor waits for every goroutine that was started on it, as jthread's joins, by whatever
// way the scope is left (exceptions and goexit too): they may refer to what was declared before it.
class goroutine_scope {
  public:
    constexpr goroutine_scope() noexcept = default;
    // Blocks.
    ~goroutine_scope() { group_.wait(); }
    goroutine_scope(const goroutine_scope&) = delete;
    goroutine_scope& operator=(const goroutine_scope&) = delete;

    // Runs f in a goroutine, which may start others on the scope. An exception that leaves f ends
    // the process, as with wait_group::go.
    template <class F>
    void go(F&& f) {
        group_.go(std::forward<F>(f));
    }
    // Blocks until all that were started have ended. Others may be started afterwards.
    void join() { group_.wait(); }

  private:
    wait_group group_;
};

}  // namespace pirn
