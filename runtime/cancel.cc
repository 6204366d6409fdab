// SPDX-License-Identifier: MIT
// Waits that can be cancelled: their errors, and sleeping.
#include "runtime/cancel.h"

#include <string>

#include <pirn/runtime.h>
#include <pirn/sleep.h>

#include "runtime/timer.h"
#include "runtime/waiter.h"

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

namespace detail {
namespace {

using namespace rt;

// A goroutine that sleeps: its timer and its source are the wakers.
struct sleeper : timer, waiter {
    cancel_waiter cancel;
    cancel_source* source = nullptr;
};

constexpr std::uint32_t k_timer = 1;

void wake(timer* due) {
    auto* s = static_cast<sleeper*>(due);
    const who owner = s->cancel.owner;
    std::uint32_t undecided = 0;
    // ORD(select-fired): acq_rel; pairs with the other waker's. The frame stands until owner is
    // readied; where the source was first, until this function has returned.
    if (s->cancel.fired.compare_exchange(undecided, k_timer, std::memory_order_acq_rel,
                                         std::memory_order_relaxed))
        ready(owner);
}

std::error_code sleep_goroutine(parker& self, std::int64_t deadline_ns, cancel_source* source) {
    sleeper s;
    s.cancel.owner = self.name();
    s.source = source;
    s.fire = &wake;
    s.when_ns = deadline_ns;
    s.is_select = true;
    s.drop = [](waiter* w) noexcept {
        static_cast<sleeper*>(w)->cancel.leave();
        return true;
    };
    source->mu.acquire();
    if (source->is_done()) {
        source->mu.release();
        return cancel_reason(source);
    }
    s.cancel.join(source);
    self.park(
        [](void* arg) {
            auto* armed = static_cast<sleeper*>(arg);
            // The frame may be gone once both can wake it.
            cancel_source* held = armed->source;
            if (armed->when_ns != base::k_never_ns) timer_start(armed, armed->when_ns);
            held->mu.release();
        },
        &s, wait_reason::sleep, &s);
    if (!s.cancel.was_cancelled()) {
        s.cancel.leave();
        return {};
    }
    timer_stop(&s);
    return cancel_reason(source);
}

std::error_code sleep_thread(std::int64_t deadline_ns, cancel_source* source) {
    note n;
    cancel_waiter w;
    w.owner = who(&n);
    if (!w.join_unless_done(source)) return cancel_reason(source);
    if (!n.sleep(deadline_ns)) {
        w.leave();
        if (!w.was_cancelled()) return {};
        // The note is used until it has been woken.
        n.sleep(base::k_never_ns);
    }
    return cancel_reason(source);
}

}  // namespace

std::error_code sleep_until_ns(std::int64_t deadline_ns, const cancellation& until) {
    cancel_source* source = until.source();
    if (source == nullptr) {
        sleep_until_ns(deadline_ns);
        return {};
    }
    if (source->is_done()) return cancel_reason(source);
    if (deadline_ns <= base::now_ns()) {
        yield();
        return {};
    }
    parker self;
    return self.on_goroutine() ? sleep_goroutine(self, deadline_ns, source)
                               : sleep_thread(deadline_ns, source);
}

std::error_code sleep_for_ns(std::int64_t d_ns, const cancellation& until) {
    return sleep_until_ns(deadline_ns_after(base::now_ns(), d_ns), until);
}

}  // namespace detail
}  // namespace pirn
