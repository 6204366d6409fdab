// SPDX-License-Identifier: MIT
// Users' own contexts, for the tests.
#pragma once

#include <atomic>
#include <memory>
#include <system_error>

#include <pirn/context.h>

namespace pirn::test {

// Whether the context is not done, by its channel.
inline bool is_open(const context& c) { return c.done().try_recv() == recv_status::empty; }

// Passes everything on to another one.
struct embedding : context_base {
    explicit embedding(context c) : inner(std::move(c)) {}
    recv_chan<void> done() const override { return inner.done(); }
    std::error_code err() const override { return inner.err(); }
    std::optional<clock::time_point> deadline() const override { return inner.deadline(); }
    const void* value(const context_key_base& key) const override { return inner.value(key); }
    context inner;
};

inline context passing_on(context c) {
    return context(std::make_shared<embedding>(std::move(c)));
}

// Done by itself.
struct by_itself : context_base {
    recv_chan<void> done() const override { return channel; }
    std::error_code err() const override {
        return is_done ? make_error_code(why) : std::error_code();
    }
    void finish(std::errc because) {
        why = because;
        is_done = true;
        channel.close();
    }
    chan<void> channel = make_chan<void>();
    std::errc why{};
    std::atomic<bool> is_done{false};
};

}  // namespace pirn::test
