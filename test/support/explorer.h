// SPDX-License-Identifier: MIT
// An explorer of interleavings: runs a small scenario of two to six threads in every order and
// with every value that a load may see, on the library's real headers.
//
// A build with PIRN_MODEL gets its atomics from test/model/atomic.h, so that each access of the
// code under test is a step here. The threads are stacks of one OS thread; before each step the
// explorer chooses who goes on. It runs the scenario again and again from its start, each time with
// another choice at the last place that has one left, until none is left. A state that was seen
// before, by what memory holds, what each thread may see of it and what each has read, is not gone
// on with: that joins the orders that differ only in steps that do not concern each other.
//
// Memory is C++'s and not one CPU's: a location has the list of all values it was given, a thread
// has for each location the oldest that it may still read (its view), and a load chooses among
// these. A release passes the writer's view on with the value, an acquire takes it over; seq_cst
// fences exchange views through a common one. So a load may see an old value for as long as nothing
// forbids it, which is what store buffers, invalidation queues and compilers do. Not modelled: a
// store that becomes older than one already made elsewhere, a load that sees a later store of its
// own thread's future, and a compare_exchange_weak that fails for no reason.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>

namespace pirn::model {

// What is explored: made anew for each execution, so it holds the shared state of one; always at
// the same address, because pointers are values like others.
class scenario {
  public:
    virtual ~scenario() = default;
    virtual int threads() const = 0;
    // The body of a thread. What it keeps on its stack must be fit to be unwound at any step.
    virtual void thread(int id) = 0;
    // What threads share beside atomics and what is `plain`: a hash of it.
    virtual std::uint64_t digest() const = 0;
    // Nobody can take a step any more. What is wrong with that, or null.
    virtual const char* verdict() = 0;
};

struct options {
    // A mistake put into the code under test: in the function of this name orders count as relaxed,
    // and a fence as none.
    const char* weakened_function = nullptr;
    std::uint64_t most_executions = 2'000'000;
};

struct result {
    std::uint64_t executions = 0;  // each from the start, to its end or to a state seen before
    std::uint64_t states = 0;      // different ones
    std::uint64_t ends = 0;        // executions that came to rest, each with a verdict
    std::uint64_t left_out = 0;    // executions that the scenario did not want to go on with
    std::uint64_t weakened = 0;    // accesses that the mistake was put into
    bool complete = false;         // everything was seen, or a failure found
    std::string failure;           // empty: none. Else the verdict and the steps that led there
};

result explore(const std::function<scenario*()>& make, const options& how = {});
std::uint64_t mix(std::uint64_t hash, std::uint64_t word);

// In a thread of a scenario: the execution fails unless `holds`.
void require(bool holds, const char* what);
// Likewise: the execution goes beyond what the scenario is made for; neither right nor wrong.
void leave_out();

// In a thread of a scenario: where it stands, and what it has kept of all that it has read so far.
// The rest is forgotten, so that states which differ in nothing else are joined.
void settle(std::uint64_t kept);

// The steps, without their types; for atomic.h. `where` is the function the access stands in.
enum class change { exchange, add, sub, bit_or, bit_and };
// `newest_only`: nobody asks for a value but the newest, so that states which differ in older ones
// are joined.
int new_location(std::uint64_t value, bool newest_only = false);
void name_location(int location, const char* name);
std::uint64_t load(int location, std::memory_order order, const char* where);
void store(int location, std::uint64_t value, std::memory_order order, const char* where);
std::uint64_t modify(int location, change how, std::uint64_t operand, std::uint64_t mask,
                     std::memory_order order, const char* where);
bool compare_exchange(int location, std::uint64_t& expected, std::uint64_t desired,
                      std::memory_order success, std::memory_order failure, const char* where);
void fence(std::memory_order order, const char* where);
// Waits until the newest value is `value`, then replaces it and takes the writer's view over.
void await(int location, std::uint64_t value, std::uint64_t replacement);
// Plain data: an access that another thread's last write does not happen before is a failure. Not
// a step of its own.
std::uint64_t plain_load(int location);
void plain_store(int location, std::uint64_t value);

template <class T>
std::uint64_t to_word(T value) {
    static_assert(sizeof(T) <= sizeof(std::uint64_t));
    std::uint64_t word = 0;
    std::memcpy(&word, &value, sizeof value);
    return word;
}
template <class T>
T from_word(std::uint64_t word) {
    T value;
    std::memcpy(&value, &word, sizeof value);
    return value;
}

// A lock that scenarios pass for the one of the code under test; no thread spins for it.
class mutex {
  public:
    mutex() : location_(new_location(0, true)) { name_location(location_, "lock"); }
    void name(const char* name) { name_location(location_, name); }
    mutex(const mutex&) = delete;
    mutex& operator=(const mutex&) = delete;
    void acquire() { await(location_, 0, 1); }
    void release() { store(location_, 0, std::memory_order_release, "release"); }

  private:
    int location_;
};

// Likewise a thread's note: sleep() returns once after each wake().
class event {
  public:
    event() : location_(new_location(0, true)) { name_location(location_, "note"); }
    event(const event&) = delete;
    event& operator=(const event&) = delete;
    void sleep() { await(location_, 1, 0); }
    void wake() { store(location_, 1, std::memory_order_release, "wake"); }

  private:
    int location_;
};

// Data that is guarded by something else.
template <class T>
class plain {
  public:
    explicit plain(T value = {}) : location_(new_location(to_word(value), true)) {}
    plain(const plain&) = delete;
    plain& operator=(const plain&) = delete;
    T get() const { return from_word<T>(plain_load(location_)); }
    void set(T value) { plain_store(location_, to_word(value)); }

  private:
    int location_;
};

}  // namespace pirn::model
