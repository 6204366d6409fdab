// SPDX-License-Identifier: MIT
// What a subject is: a plain function that runs as a goroutine on a stack that has to grow.
//
// The subjects are compiled in many ways (matrix.py), so they know nothing of the test framework:
// they report to a verdict, and a host (catch_host.cc, plain_host.cc) runs them.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include <pirn/runtime.h>
#include <pirn/sync.h>

#include "runtime/base/sanitizer.h"

// A function that is really called, with its arguments where the calling convention puts them.
#ifdef __clang__
#define GROWTH_OPAQUE [[gnu::noinline]]
#else
#define GROWTH_OPAQUE [[gnu::noipa]]
#endif

namespace growth {

// As many calls in each other as any tool takes: ThreadSanitizer's table for those of a stack, tail
// calls included, has room for 64 K.
inline constexpr int k_deepest = pirn::base::k_under_tsan ? 50'000 : 100'000;

// The first check of a subject that failed. From any goroutine or thread; read when they are gone.
class verdict {
  public:
    void check(bool ok, const char* what, int line) noexcept {
        if (!ok) fail(what, line);
    }
    void fail(const char* what, int line) noexcept;

    int failures() const noexcept { return failures_.load(); }
    const char* what() const noexcept { return what_; }
    int line() const noexcept { return line_; }

    // Set by run_subject: the calls that hopped while it ran, and from which entry it last did.
    std::uint64_t hops = 0;
    int entry = 0;

  private:
    std::atomic<int> failures_{0};
    const char* what_ = "";
    int line_ = 0;
};

#define EXPECT(condition) v.check(static_cast<bool>(condition), #condition, __LINE__)

struct subject {
    const char* name;
    void (*body)(verdict&);
    const char* file;
    int line;
    bool slow;   // takes seconds under an emulator or where each call hops
    const subject* next = nullptr;

    subject(const char* n, void (*b)(verdict&), const char* f, int l, bool s = false);
};

// All subjects of the program, in the order of their constructors.
const subject* first_subject();

// The host's hook: called by each subject's constructor.
void enroll(subject& s);

// Runs the subject as a goroutine, at this number of Ps. The main goroutine only waits for it.
void run_subject(const subject& s, int procs, verdict& v);

#define GROWTH_JOIN_(a, b) a##b
#define GROWTH_JOIN(a, b) GROWTH_JOIN_(a, b)
#define GROWTH_SUBJECT(name, ...)                                                              \
    static void GROWTH_JOIN(subject_, __LINE__)(growth::verdict & v);                          \
    static growth::subject GROWTH_JOIN(enrolled_, __LINE__){                                   \
        name, &GROWTH_JOIN(subject_, __LINE__), __FILE__, __LINE__ __VA_OPT__(, ) __VA_ARGS__}; \
    static void GROWTH_JOIN(subject_, __LINE__)([[maybe_unused]] growth::verdict & v)

// Where stacks do not grow, they have to be as large as ever needed from the start.
#ifdef PIRN_SPLIT
inline constexpr std::size_t k_subject_stack = 0, k_start_stack = 0;
#else
inline constexpr std::size_t k_subject_stack = 64u << 20, k_start_stack = 1u << 20;
#endif

// Starts another goroutine of a subject.
template <class F>
void start(F&& f) {
    pirn::go({.name = "of a subject", .stack = k_start_stack}, std::forward<F>(f));
}

// Goroutines of a subject that it waits for.
class crowd {
  public:
    template <class F>
    void start(F f) {
        all_.add(1);
        growth::start([this, f = std::move(f)] {
            const pirn::defer tell{[this] { all_.done(); }};
            f();
        });
    }
    void wait() { all_.wait(); }

  private:
    pirn::wait_group all_;
};

// The optimiser knows nothing about a hidden value afterwards.
template <class T>
[[gnu::always_inline]] inline T hidden(T value) {
    static_assert(std::is_scalar_v<T> && sizeof value <= sizeof(void*), "fits into a register");
    asm volatile("" : "+r"(value));
    return value;
}

// Makes the frame of the function that has it at least this large, and tells whether somebody
// else wrote into that frame.
template <std::size_t Bytes>
class ballast {
  public:
    [[gnu::always_inline]] ballast() {
        for (std::size_t i = 0; i < Bytes; i += k_stride) bytes_[i] = sign(i);
        bytes_[Bytes - 1] = 0x5a;
    }
    // 0 as long as all is well: to be added to results.
    [[gnu::always_inline]] int damage() const {
        int wrong = bytes_[Bytes - 1] != 0x5a;
        for (std::size_t i = 0; i + 1 < Bytes; i += k_stride) wrong += bytes_[i] != sign(i);
        return wrong * 1'000'000;
    }

  private:
    static constexpr std::size_t k_stride = 16;
    [[gnu::always_inline]] static unsigned char sign(std::size_t i) {
        return static_cast<unsigned char>(i / k_stride * 7 + 1);
    }
    volatile unsigned char bytes_[Bytes];
};

// A call whose frame is its own, not part of its caller's.
template <class F>
[[gnu::noinline]] void call(F& f) {
    f();
    asm volatile("" : : : "memory");   // So that f's is no tail call.
}

// Calls f() below 0, 1, 2, … small frames, so that the callee finds every amount of room that a
// small block can have left: what fits by a few bytes, what just does not, and what is far off.
// What f itself needs ought to be little, or it is only f that hops.
inline constexpr int k_every_depth = 48;
template <class F>
[[gnu::noinline]] int at_each_depth(F& f, int left = k_every_depth) {
    volatile int kept = left;   // Used after the calls, so that none of them is a tail call.
    call(f);
    if (left > 0) at_each_depth(f, left - 1);
    return kept;
}

// Descends this many frames of some 100 bytes, calls f there and comes back; the result is how many
// frames it came back through.
template <class F>
[[gnu::noinline]] int descend(int frames, F& f) {
    ballast<80> b;
    if (frames == 0) {
        call(f);
        return b.damage();
    }
    return descend(frames - 1, f) + 1 + b.damage();
}
template <class F>
int at_depth(int frames, F&& f) {
    return descend(frames, f);
}

}  // namespace growth
