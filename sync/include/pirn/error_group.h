// SPDX-License-Identifier: MIT
// error_group: goroutines for the parts of one task, of which the first failure counts (Go's
// x/sync/errgroup).
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <system_error>
#include <type_traits>
#include <utility>

#include <pirn/once.h>
#include <pirn/outcome.h>
#include <pirn/runtime.h>
#include <pirn/semaphore.h>
#include <pirn/wait_group.h>
#include <pirn/word.h>

namespace pirn {

// A part fails by returning a std::error_code that is not zero, or by an exception. One that calls
// goexit does not fail. The group may be used again after wait; it remembers the failure.
//
// It may be destroyed as soon as wait has returned. Destroying it while somebody is in wait, or in
// a go that the limit keeps waiting, is fatal.
class error_group {
  public:
    error_group() = default;
    error_group(const error_group&) = delete;
    error_group& operator=(const error_group&) = delete;
    ~error_group();

    // Runs f in a goroutine; f returns nothing, or what converts to std::error_code. Blocks while
    // as many as the limit are running.
    template <class F>
    void go(F&& f) {
        if (slots_) slots_->acquire();
        start(std::forward<F>(f));
    }
    // The same, unless it would block. True: it runs.
    template <class F>
    bool try_go(F&& f) {
        if (slots_ && !slots_->try_acquire()) return false;
        start(std::forward<F>(f));
        return true;
    }

    // Blocks until every part has ended. Returns what the first that failed returned, zero if none
    // failed; throws what it threw.
    std::error_code wait();

    // How many parts may run at a time from now on; below zero: as many as there are (as at the
    // start). With zero, go blocks for ever. Throws panic while any is running.
    void set_limit(int n);

  protected:
    // What is to be done at the first failure, in the goroutine that failed, and again when wait
    // has seen all parts end, with what wait returns. For groups that cancel something. It must not
    // throw.
    using failure_hook = std::move_only_function<void(std::error_code, const std::exception_ptr&)>;
    explicit error_group(failure_hook on_first_failure)
        : on_first_failure_(std::move(on_first_failure)) {}

  private:
    template <class F>
    struct part {
        error_group* group;
        F f;
        void operator()() {
            struct at_end {
                error_group* group;
                ~at_end() { group->end(); }
            } finally{group};
            detail::call_and_keep(
                [this] {
                    // Destroyed before it counts as ended: its captures may refer to what the
                    // waiter destroys.
                    F mine(std::move(f));
                    if constexpr (std::is_void_v<std::invoke_result_t<F>>) {
                        std::invoke(std::move(mine));
                    } else {
                        const std::error_code e = std::invoke(std::move(mine));
                        if (e) group->fail(e, nullptr);
                    }
                },
                [this](std::exception_ptr thrown) { group->fail({}, std::move(thrown)); });
        }
    };

    template <class F>
    void start(F&& f) {
        using result = std::invoke_result_t<std::decay_t<F>>;
        static_assert(std::is_void_v<result> || std::is_convertible_v<result, std::error_code>,
                      "pirn::error_group: f returns nothing or an error code");
        // Relaxed: a number for set_limit.
        running_.fetch_add(1, std::memory_order_relaxed);
        group_.add(1);
        // Counted down again if the goroutine cannot be made.
        struct undo {
            error_group* group;
            ~undo() {
                if (group != nullptr) group->end();
            }
        } started{this};
        pirn::go(part<std::decay_t<F>>{this, std::forward<F>(f)});
        started.group = nullptr;
    }

    // A part has failed.
    void fail(std::error_code e, std::exception_ptr thrown);
    // A part has ended.
    void end();

    wait_group group_;
    detail::word<std::uint32_t> running_;   // parts
    // What the limit leaves; without one there is none. Changed only while no part runs.
    std::optional<semaphore> slots_;
    once first_;
    // Written by the first failure, before its part ends.
    std::error_code error_;
    std::exception_ptr thrown_;
    failure_hook on_first_failure_;
};

}  // namespace pirn
