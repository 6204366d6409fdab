// SPDX-License-Identifier: MIT
// error_group: a wait_group, the first failure, and a semaphore for the limit.
#include <pirn/error_group.h>

#include <string>

namespace pirn {

// Before its members' own destructors, which would name what the user has not made.
error_group::~error_group() {
    if (group_.may_be_waited_for()) group_.destroy_slow("error_group");
    if (slots_ && slots_->may_be_waited_for()) slots_->destroy_slow("error_group");
}

void error_group::fail(std::error_code e, std::exception_ptr thrown) {
    first_.call([&] {
        error_ = e;
        thrown_ = std::move(thrown);
        if (on_first_failure_) on_first_failure_(error_, thrown_);
    });
}

void error_group::end() {
    // Relaxed: as in start.
    running_.fetch_sub(1, std::memory_order_relaxed);
    if (slots_) slots_->release();
    // The last touch: who waits may destroy the group now.
    group_.done();
}

std::error_code error_group::wait() {
    group_.wait();
    if (on_first_failure_) on_first_failure_(error_, thrown_);
    if (thrown_ != nullptr) std::rethrow_exception(thrown_);
    return error_;
}

void error_group::set_limit(int n) {
    // Relaxed: a check against misuse.
    const std::uint32_t running = running_.load(std::memory_order_relaxed);
    if (running != 0)
        throw panic("errgroup: modify limit while " + std::to_string(running) +
                    " goroutines in the group are still active");
    if (n < 0)
        slots_.reset();
    else
        slots_.emplace(n);
}

}  // namespace pirn
