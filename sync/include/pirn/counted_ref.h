// SPDX-License-Identifier: MIT
// A reference to state that counts its references. Users name nothing of it.
#pragma once

#include <cstdint>
#include <utility>

#include <pirn/word.h>

namespace pirn::detail {

// How many references a state has; it begins with its maker's.
class ref_count {
  public:
    // Relaxed: who takes one more has one already.
    void retain() noexcept { refs_.fetch_add(1, std::memory_order_relaxed); }
    // True: that was the last, and what all others did with the state is visible.
    bool release() noexcept {
        // ORD(ref-count): acq_rel; the last release pairs with all others.
        return refs_.fetch_sub(1, std::memory_order_acq_rel) == 1;
    }

  private:
    word<std::uint32_t> refs_{1};
};

// A reference to a State, which has a ref_count `refs` and is deleted with the last; or none.
template <class State>
class counted_ref {
  public:
    constexpr counted_ref() noexcept = default;
    // Takes over a reference that was counted already.
    explicit counted_ref(State* counted) noexcept : state_(counted) {}
    counted_ref(const counted_ref& other) noexcept : state_(other.state_) {
        if (state_ != nullptr) state_->refs.retain();
    }
    counted_ref(counted_ref&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
    counted_ref& operator=(counted_ref other) noexcept {
        std::swap(state_, other.state_);
        return *this;
    }
    // ORD(ref-count): the acquire and release are in ref_count.
    ~counted_ref() {
        if (state_ != nullptr && state_->refs.release()) delete state_;
    }

    State* operator->() const noexcept { return state_; }
    State& operator*() const noexcept { return *state_; }
    explicit operator bool() const noexcept { return state_ != nullptr; }

  private:
    State* state_ = nullptr;
};

}  // namespace pirn::detail
