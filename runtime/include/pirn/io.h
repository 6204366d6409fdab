// SPDX-License-Identifier: MIT
// io::fd: any pollable descriptor (socket, pipe, eventfd, terminal) with calls that block the
// goroutine and not its thread.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <system_error>
#include <utility>

#include <pirn/cancellation.h>
#include <pirn/sleep.h>

namespace pirn::io {

namespace detail {
struct descriptor;  // reference counted: the native descriptor is closed when its last user left
using native_op = ssize_t (*)(int native, void* arg);

std::expected<descriptor*, std::error_code> open_descriptor(int native);
void release_descriptor(descriptor*) noexcept;
void close_descriptor(descriptor*) noexcept;
int native_of(const descriptor*) noexcept;
std::expected<std::size_t, std::error_code> read_some(descriptor*, std::span<std::byte>,
                                                      const cancellation&);
std::expected<ssize_t, std::error_code> retry(descriptor*, bool reading, native_op, void* arg,
                                              const cancellation&);
std::error_code wait_until_ready(descriptor*, bool reading, const cancellation&);
std::expected<std::size_t, std::error_code> write_all(
    descriptor*, const std::span<const std::byte>* buffers, std::size_t count,
    const cancellation&);
void set_deadline_ns(descriptor*, bool reading, bool writing, std::int64_t when_ns);
}  // namespace detail

// An owned descriptor. Movable; the destructor closes. One goroutine may read while another
// writes; two readers (or two writers) take turns, each call as a whole. close() may be called at
// any time from anywhere: it wakes every blocked caller with std::errc::operation_canceled, and
// later calls fail with std::errc::bad_file_descriptor. Moving from an object that others use is a
// race, as with every C++ object.
//
// Every call that blocks takes a context: once that is done, it returns the context's error. The
// descriptor stays as it is.
class fd {
  public:
    fd() = default;
    fd(fd&& other) noexcept : d_(std::exchange(other.d_, nullptr)) {}
    fd& operator=(fd&& other) noexcept {
        if (this != &other) {
            reset();
            d_ = std::exchange(other.d_, nullptr);
        }
        return *this;
    }
    ~fd() { reset(); }

    // Takes ownership of `native`, makes it non-blocking and registers it with the poller. On an
    // error (a regular file: operation_not_permitted) the caller keeps the descriptor.
    static std::expected<fd, std::error_code> adopt(int native) {
        auto d = detail::open_descriptor(native);
        if (!d) return std::unexpected(d.error());
        return fd(*d);
    }

    // Blocks until at least a byte is there. 0: end of stream (or an empty buffer).
    std::expected<std::size_t, std::error_code> read(std::span<std::byte> buffer,
                                                     const cancellation& ctx = {}) {
        if (d_ == nullptr) return std::unexpected(closed_error());
        return detail::read_some(d_, buffer, ctx);
    }
    // Blocks until all of it is written; the count, or the error (some of it may be written then).
    // A broken pipe is std::errc::broken_pipe; no SIGPIPE ends the process.
    std::expected<std::size_t, std::error_code> write(std::span<const std::byte> bytes,
                                                      const cancellation& ctx = {}) {
        if (d_ == nullptr) return std::unexpected(closed_error());
        return detail::write_all(d_, &bytes, 1, ctx);
    }
    // The same for several buffers, in as few system calls as there can be.
    std::expected<std::size_t, std::error_code> write_v(
        std::span<const std::span<const std::byte>> buffers, const cancellation& ctx = {}) {
        if (d_ == nullptr) return std::unexpected(closed_error());
        return detail::write_all(d_, buffers.data(), buffers.size(), ctx);
    }

    // For system calls of your own: op(native) is tried until it does not return -EAGAIN, with a
    // wait for readability (retry_read) or writability (retry_write) between. It returns >= 0, or
    // minus an errno value; it must not block.
    template <class Op>
    std::expected<ssize_t, std::error_code> retry_read(Op&& op, const cancellation& ctx = {}) {
        return retry(true, op, ctx);
    }
    template <class Op>
    std::expected<ssize_t, std::error_code> retry_write(Op&& op,
                                                        const cancellation& ctx = {}) {
        return retry(false, op, ctx);
    }
    // Blocks until the poller has reported the descriptor readable (writable) since it last gave
    // EAGAIN; may return early. No error, timed_out, operation_canceled, or the context's.
    std::error_code wait_readable(const cancellation& ctx = {}) {
        return d_ == nullptr ? closed_error() : detail::wait_until_ready(d_, true, ctx);
    }
    std::error_code wait_writable(const cancellation& ctx = {}) {
        return d_ == nullptr ? closed_error() : detail::wait_until_ready(d_, false, ctx);
    }

    // Past the deadline, reads (writes) blocked then or begun later fail with std::errc::timed_out;
    // a default-constructed time point means none. From any goroutine, also while one is blocked.
    void set_deadline(clock::time_point t) { set(true, true, t); }
    void set_read_deadline(clock::time_point t) { set(true, false, t); }
    void set_write_deadline(clock::time_point t) { set(false, true, t); }

    void close() noexcept {
        if (d_ != nullptr) detail::close_descriptor(d_);
    }
    // The descriptor's number, still owned by this object; -1 when there is none or it is closed.
    int native_handle() const noexcept { return d_ == nullptr ? -1 : detail::native_of(d_); }
    explicit operator bool() const noexcept { return d_ != nullptr; }

  private:
    explicit fd(detail::descriptor* d) : d_(d) {}
    static std::error_code closed_error() {
        return std::make_error_code(std::errc::bad_file_descriptor);
    }
    void reset() noexcept {
        if (d_ == nullptr) return;
        detail::close_descriptor(d_);
        detail::release_descriptor(std::exchange(d_, nullptr));
    }
    void set(bool reading, bool writing, clock::time_point t) {
        if (d_ == nullptr) return;
        detail::set_deadline_ns(d_, reading, writing,
                                t == clock::time_point{} ? INT64_MAX : pirn::detail::steady_ns(t));
    }
    template <class Op>
    std::expected<ssize_t, std::error_code> retry(bool reading, Op& op,
                                                  const cancellation& ctx) {
        if (d_ == nullptr) return std::unexpected(closed_error());
        return detail::retry(
            d_, reading,
            [](int native, void* arg) -> ssize_t { return (*static_cast<Op*>(arg))(native); },
            const_cast<void*>(static_cast<const void*>(&op)), ctx);
    }

    detail::descriptor* d_ = nullptr;
};

}  // namespace pirn::io
