// SPDX-License-Identifier: MIT
// What may end a wait early: what a context converts to, and the errors that such a wait returns.
#pragma once

#include <cstdint>
#include <expected>
#include <system_error>
#include <type_traits>

namespace pirn {

namespace rt {
struct cancel_source;
}

// Why a context is done. As error_codes they compare equal to std::errc::operation_canceled and to
// std::errc::timed_out.
enum class context_errc {
    canceled = 1,
    deadline_exceeded = 2,
};

// Its messages are Go's: "context canceled", "context deadline exceeded".
const std::error_category& context_category() noexcept;

inline std::error_code make_error_code(context_errc e) noexcept {
    return {static_cast<int>(e), context_category()};
}

// The last parameter of the waits that can be cancelled; a context converts to it. It refers to the
// context and is for the duration of one call.
//
// Such a wait returns the context's error once that is done. With a context that is done already it
// does nothing but that, even where it could go on at once.
class [[gnu::visibility("default")]] cancellation {
  public:
    // Never cancelled.
    constexpr cancellation() noexcept = default;
    // For the library. `end` is called with the source when this object goes.
    explicit cancellation(rt::cancel_source* source,
                          void (*end)(rt::cancel_source*) = nullptr) noexcept
        : source_(source), end_(end) {}
    cancellation(const cancellation&) = delete;
    cancellation& operator=(const cancellation&) = delete;
    ~cancellation() {
        if (end_ != nullptr) end_(source_);
    }

    // Why it is done; nothing while it is not.
    std::error_code err() const noexcept;
    rt::cancel_source* source() const noexcept { return source_; }

  private:
    rt::cancel_source* source_ = nullptr;
    void (*end_)(rt::cancel_source*) = nullptr;
};

namespace detail {

// What may end a wait before its time: a deadline, or a source that is done.
struct wait_end {
    std::int64_t deadline_ns = INT64_MAX;    // of the library's clock; this is never
    rt::cancel_source* source = nullptr;

    constexpr wait_end() noexcept = default;
    constexpr wait_end(std::int64_t ns) noexcept : deadline_ns(ns) {}
    wait_end(const cancellation& until) noexcept : source(until.source()) {}
    bool never() const noexcept { return deadline_ns == INT64_MAX && source == nullptr; }
};

// A wait's form with a cancellation. wait(end) blocks; false: the end has come.
template <class Wait>
std::expected<void, std::error_code> wait_until_done(const cancellation& until, Wait wait) {
    if (const std::error_code why = until.err()) return std::unexpected(why);
    if (wait(wait_end(until))) return {};
    return std::unexpected(until.err());
}

}  // namespace detail

}  // namespace pirn

template <>
struct std::is_error_code_enum<pirn::context_errc> : std::true_type {};
