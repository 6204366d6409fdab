// SPDX-License-Identifier: MIT
// The errors of waits that were cancelled.
#include "runtime/cancel.h"

#include <string>

namespace pirn {
namespace {

class category : public std::error_category {
  public:
    const char* name() const noexcept override { return "context"; }
    std::string message(int code) const override {
        switch (static_cast<context_errc>(code)) {
            case context_errc::canceled: return "context canceled";
            case context_errc::deadline_exceeded: return "context deadline exceeded";
        }
        return "unknown error";
    }
    std::error_condition default_error_condition(int code) const noexcept override {
        switch (static_cast<context_errc>(code)) {
            case context_errc::canceled: return std::errc::operation_canceled;
            case context_errc::deadline_exceeded: return std::errc::timed_out;
        }
        return {code, *this};
    }
};

}  // namespace

const std::error_category& context_category() noexcept {
    static constinit const category the;
    return the;
}

std::error_code cancellation::err() const noexcept {
    return source_ != nullptr && source_->is_done() ? rt::cancel_reason(source_)
                                                    : std::error_code();
}

namespace rt {

std::error_code cancel_reason(const cancel_source* s) noexcept {
    // Relaxed: it was seen to be done, and does not change any more.
    const std::uint32_t why = s->state.load(std::memory_order_relaxed) & cancel_source::k_why;
    return {static_cast<int>(why), context_category()};
}

}  // namespace rt
}  // namespace pirn
