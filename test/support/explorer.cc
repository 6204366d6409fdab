// SPDX-License-Identifier: MIT
// The explorer: the search over choices, the threads as stacks, and the memory they share.
#include "test/support/explorer.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <unordered_set>
#include <vector>

#include "arch/arch.h"
#include "runtime/base/sanitizer.h"
#include "test/support/explorer_memory.h"

namespace pirn::model {

std::uint64_t mix(std::uint64_t h, std::uint64_t word) {
    // The addition, so that zeros count as well.
    h = (h + 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u ^ word;
    h = (h ^ (h >> 29)) * 0x94d049bb133111ebu;
    return h ^ (h >> 32);
}

namespace {

constexpr std::size_t k_stack_bytes = 256 << 10;
constexpr int k_most_threads = 6;
constexpr int k_nobody = -1;  // the search itself, which makes the scenario and judges its end

struct abandoned {};  // thrown on the threads of an execution that is not gone on with

struct fiber {
    arch::context context;
    base::san_fiber san;
    std::unique_ptr<std::byte[]> stack;
    bool done = true;
    // What its next step waits for.
    int wait_location = k_nobody;
    std::uint64_t wait_value = 0;
    // Memory as C++ has it: what it has seen, what an acquire fence would add, what its stores
    // pass on since the last release fence.
    view now, acquired, released;
    std::uint64_t history = 0;
};

struct step {
    int thread;
    const char* what;
    int location;
    std::uint64_t value;
    std::size_t old;  // how many newer values there were
    const char* where;
};

struct decision {
    std::size_t chosen, of;
};

class explorer {
  public:
    explorer(const std::function<scenario*()>& make, const options& how);
    ~explorer();
    result search();

    // The steps' common part. False: the execution is being left, nothing is to be done.
    bool arrive(int wait_location = k_nobody, std::uint64_t wait_value = 0);
    bool in_thread() const { return current_ != k_nobody; }
    bool leaving() const { return leaving_; }
    std::memory_order order_in(std::memory_order order, const char* where);
    int add_location(std::uint64_t value, bool newest_only);
    void name(int l, const char* name) { place(l).name = name; }
    std::uint64_t newest(int l) { return place(l).messages.back().value; }
    void set_first(int l, std::uint64_t value) { place(l).messages.back().value = value; }
    // Reads one of the values that the thread may see, which are not `except` or the newest.
    std::uint64_t read(int l, std::memory_order order, const char* where, const char* what,
                       const std::uint64_t* except = nullptr);
    void write(int l, std::uint64_t value, std::memory_order order, const char* where,
               const char* what, bool continues);
    std::uint64_t take_newest(int l, std::memory_order order);
    void fence(std::memory_order order, const char* where);
    bool saw_newest(int l);
    void settle(std::uint64_t kept) { me().history = mix(1, kept); }
    void fail(const std::string& what);
    void leave_out() {
        ++result_.left_out;
        leaving_ = true;
    }

  private:
    static void body(void* self);
    void run();
    void unwind();
    void hand(int to);
    int schedule();
    bool enabled(const fiber& f);
    std::size_t choose(std::size_t of);
    bool next_path();
    std::uint64_t state();
    location& place(int l) { return locations_[static_cast<std::size_t>(l)]; }
    fiber& me() { return fibers_[static_cast<std::size_t>(current_)]; }
    arch::context& context_of(int id) {
        return id == k_nobody ? main_ : fibers_[static_cast<std::size_t>(id)].context;
    }
    base::san_fiber& san_of(int id) {
        return id == k_nobody ? main_san_ : fibers_[static_cast<std::size_t>(id)].san;
    }
    std::string steps() const;

    const std::function<scenario*()>& make_;
    const options how_;
    result result_;
    std::unordered_set<std::uint64_t> visited_;
    std::vector<decision> path_;
    std::size_t depth_ = 0;

    // Of one execution.
    scenario* scenario_ = nullptr;
    std::array<location, k_most_locations> locations_;
    std::size_t used_locations_ = 0;
    view common_;  // of the seq_cst fences
    std::vector<step> steps_;
    std::array<fiber, k_most_threads> fibers_;
    int threads_ = 0;
    int current_ = k_nobody, previous_ = k_nobody;
    bool starting_ = false, leaving_ = false;

    arch::context main_;
    base::san_fiber main_san_;
};

explorer* the = nullptr;

explorer::explorer(const std::function<scenario*()>& make, const options& how)
    : make_(make), how_(how) {
    base::san_adopt_thread(main_san_);
    for (fiber& f : fibers_) {
        f.stack = std::make_unique<std::byte[]>(k_stack_bytes);
        base::san_create(f.san, f.stack.get(), k_stack_bytes);
        const auto top = reinterpret_cast<std::uintptr_t>(f.stack.get()) + k_stack_bytes;
        arch::make_context(&f.context, reinterpret_cast<void*>(top & ~std::uintptr_t{15}), body);
    }
}

explorer::~explorer() {
    for (fiber& f : fibers_) {
        base::san_destroy(f.san);
        base::san_forget_frames(f.stack.get(), k_stack_bytes);
    }
}

// A thread, one execution after the other.
void explorer::body(void*) {
    base::san_switch_end(the->me().san, &the->san_of(the->previous_));
    for (;;) {
        const int id = the->current_;
        try {
            the->scenario_->thread(id);
        } catch (const abandoned&) {
        }
        the->me().done = true;
        the->hand(the->starting_ || the->leaving_ ? k_nobody : the->schedule());
    }
}

void explorer::hand(int to) {
    const int from = current_;
    if (to == from) return;
    previous_ = from;
    current_ = to;
    base::san_switch_begin(san_of(from), san_of(to), false);
    arch::switch_to(&context_of(from), &context_of(to), nullptr);
    base::san_switch_end(san_of(from), previous_ == k_nobody ? &main_san_ : nullptr);
}

bool explorer::enabled(const fiber& f) {
    if (f.done) return false;
    return f.wait_location == k_nobody || newest(f.wait_location) == f.wait_value;
}

std::size_t explorer::choose(std::size_t of) {
    if (of == 1) return 0;
    if (depth_ == path_.size()) path_.push_back({0, of});
    return path_[depth_++].chosen;
}

bool explorer::next_path() {
    while (!path_.empty() && path_.back().chosen + 1 == path_.back().of) path_.pop_back();
    if (path_.empty()) return false;
    ++path_.back().chosen;
    return true;
}

// All that the rest of the execution depends on. A thread's own state follows from what it has
// read. Values that nobody can read any more do not matter, nor how many there were.
std::uint64_t explorer::state() {
    view oldest;
    oldest.at.fill(UINT8_MAX);
    for (int i = 0; i < threads_; ++i) {
        const fiber& f = fibers_[static_cast<std::size_t>(i)];
        // One that waits will take over the view of one that does not.
        if (!enabled(f)) continue;
        for (std::size_t l = 0; l < used_locations_; ++l)
            oldest.at[l] = std::min(oldest.at[l], f.now.at[l]);
    }
    std::array<std::uint8_t, k_most_locations> only{};
    for (std::size_t l = 0; l < used_locations_; ++l) {
        only[l] = locations_[l].newest_only;
        const std::size_t newest = locations_[l].messages.size() - 1;
        if (locations_[l].newest_only || oldest.at[l] > newest)
            oldest.at[l] = static_cast<std::uint8_t>(newest);
    }
    std::uint64_t h = scenario_->digest();
    const auto add = [&](const view& v) {
        view relative;  // of those of which only the newest counts: whether it was seen
        for (std::size_t l = 0; l < v.at.size(); ++l) {
            const int above = std::max(v.at[l], oldest.at[l]) - oldest.at[l];
            const int seen = (v.at[l] == oldest.at[l]) & only[l];
            relative.at[l] = static_cast<std::uint8_t>(above | seen);
        }
        std::uint64_t words[k_most_locations / 8];
        static_assert(sizeof words == sizeof relative.at);
        std::memcpy(words, relative.at.data(), sizeof words);
        for (std::size_t w = 0; 8 * w < used_locations_; ++w) h = mix(h, words[w]);
    };
    add(common_);
    for (int i = 0; i < threads_; ++i) {
        const fiber& f = fibers_[static_cast<std::size_t>(i)];
        h = mix(h, f.done ? 0 : f.history);
        if (f.done) continue;
        add(f.now);
        add(f.acquired);
        add(f.released);
    }
    for (std::size_t l = 0; l < used_locations_; ++l) {
        const auto& messages = locations_[l].messages;
        std::size_t i = oldest.at[l];
        for (h = mix(h, messages.size() - i); i < messages.size(); ++i) {
            h = mix(h, messages[i].value);
            add(messages[i].seen);
        }
    }
    return h;
}

// Who takes the next step; nobody, when none can or the rest is known.
int explorer::schedule() {
    int ready[k_most_threads];
    std::size_t n = 0;
    for (int i = 0; i < threads_; ++i) {
        if (enabled(fibers_[static_cast<std::size_t>(i)])) ready[n++] = i;
    }
    if (n == 0) return k_nobody;
    // On the way to the last decision all has been seen, and what was decided there is new.
    if (depth_ == path_.size()) {
        if (!visited_.insert(state()).second) {
            leaving_ = true;
            return k_nobody;
        }
        ++result_.states;
    }
    return ready[choose(n)];
}

bool explorer::arrive(int wait_location, std::uint64_t wait_value) {
    if (leaving_) return false;  // in a destructor
    me().wait_location = wait_location;
    me().wait_value = wait_value;
    if (starting_) {
        hand(k_nobody);
    } else {
        const int next = schedule();
        if (leaving_) throw abandoned{};
        hand(next);
    }
    if (leaving_) throw abandoned{};
    me().wait_location = k_nobody;
    return true;
}

// The threads of an execution that is over come off their stacks.
void explorer::unwind() {
    leaving_ = true;
    for (int i = 0; i < threads_; ++i) {
        if (!fibers_[static_cast<std::size_t>(i)].done) hand(i);
    }
}

void explorer::run() {
    used_locations_ = 0;
    steps_.clear();
    common_ = {};
    depth_ = 0;
    leaving_ = false;
    scenario_ = make_();
    threads_ = scenario_->threads();
    if (threads_ > k_most_threads) return fail("more threads than the explorer has stacks");
    starting_ = true;
    for (int i = 0; i < threads_; ++i) {
        fiber& f = fibers_[static_cast<std::size_t>(i)];
        f.done = false;
        f.wait_location = k_nobody;
        f.history = 0;
        f.now = f.acquired = f.released = {};
        hand(i);
    }
    starting_ = false;
    if (!leaving_) {
        const int first = schedule();
        if (first != k_nobody) hand(first);
    }
    if (!leaving_) {
        ++result_.ends;
        if (const char* wrong = scenario_->verdict()) fail(wrong);
    }
    unwind();
}

result explorer::search() {
    do {
        if (result_.executions == how_.most_executions) return result_;
        ++result_.executions;
        run();
    } while (result_.failure.empty() && next_path());
    result_.complete = true;
    return result_;
}

void explorer::fail(const std::string& what) {
    if (result_.failure.empty()) result_.failure = what + "\n" + steps();
    leaving_ = true;
}

std::string explorer::steps() const {
    std::string text;
    for (const step& s : steps_) {
        text += "  thread " + std::to_string(s.thread) + ": " + s.what;
        if (s.location != k_nobody) {
            const location& l = locations_[static_cast<std::size_t>(s.location)];
            text += ' ';
            text += l.name != nullptr ? l.name : "#" + std::to_string(s.location);
            text += " = " + std::to_string(s.value);
            if (s.old != 0) text += " (" + std::to_string(s.old) + " newer)";
        }
        text += std::string(" in ") + s.where + "\n";
    }
    return text;
}

std::memory_order explorer::order_in(std::memory_order order, const char* where) {
    if (how_.weakened_function == nullptr || order == std::memory_order_relaxed) return order;
    const std::size_t length = std::strlen(how_.weakened_function);
    if (std::strncmp(where, how_.weakened_function, length) != 0) return order;
    if (where[length] != '\0' && where[length] != '<') return order;  // gcc adds the template's
    ++result_.weakened;
    return std::memory_order_relaxed;
}

int explorer::add_location(std::uint64_t value, bool newest_only) {
    if (in_thread() || used_locations_ == k_most_locations) {
        std::fputs("explorer: a location that is made by a thread, or one too many\n", stderr);
        std::abort();
    }
    location& l = locations_[used_locations_];
    l.name = nullptr;
    l.newest_only = newest_only;
    l.messages.clear();
    l.messages.push_back({value, {}});
    return static_cast<int>(used_locations_++);
}

std::uint64_t explorer::read(int l, std::memory_order order, const char* where, const char* what,
                             const std::uint64_t* except) {
    const auto& messages = place(l).messages;
    const auto at = static_cast<std::size_t>(l);
    fiber& f = me();
    if (order == std::memory_order_seq_cst)
        f.now.at[at] = std::max(f.now.at[at], common_.at[at]);
    std::size_t seen[UINT8_MAX], n = 0;
    for (std::size_t i = f.now.at[at]; i < messages.size(); ++i) {
        const message& m = messages[i];
        if (except != nullptr && i != messages.size() - 1 && m.value == *except) continue;
        // What may follow from the same value with an older view includes all that follows here.
        const bool known = std::any_of(seen, seen + n, [&](std::size_t older) {
            return messages[older].value == m.value && messages[older].seen.is_within(m.seen);
        });
        if (!known) seen[n++] = i;
    }
    const std::size_t i = seen[n - 1 - choose(n)];
    const message& m = messages[i];
    f.now.at[at] = static_cast<std::uint8_t>(i);
    f.acquired.join(m.seen);
    if (acquires(order)) f.now.join(m.seen);
    if (order == std::memory_order_seq_cst) common_.at[at] = std::max(common_.at[at], f.now.at[at]);
    f.history = mix(f.history, m.value);
    steps_.push_back({current_, what, l, m.value, messages.size() - 1 - i, where});
    return m.value;
}

// The reading half of a step that reads and writes.
std::uint64_t explorer::take_newest(int l, std::memory_order order) {
    const auto& messages = place(l).messages;
    fiber& f = me();
    f.acquired.join(messages.back().seen);
    if (acquires(order)) f.now.join(messages.back().seen);
    f.history = mix(f.history, messages.back().value);
    return messages.back().value;
}

void explorer::write(int l, std::uint64_t value, std::memory_order order, const char* where,
                     const char* what, bool continues) {
    auto& messages = place(l).messages;
    if (messages.size() == UINT8_MAX) {
        std::fputs("explorer: a location is written too often\n", stderr);
        std::abort();
    }
    const auto at = static_cast<std::size_t>(l);
    const auto i = static_cast<std::uint8_t>(messages.size());
    fiber& f = me();
    f.now.at[at] = i;
    message m;
    m.value = value;
    m.seen = releases(order) ? f.now : f.released;
    // A release sequence: what is read and written in one step passes on what it has read.
    if (continues) m.seen.join(messages.back().seen);
    m.seen.at[at] = i;
    messages.push_back(m);
    f.acquired.at[at] = i;
    if (order == std::memory_order_seq_cst) common_.at[at] = i;
    f.history = mix(f.history, value);
    steps_.push_back({current_, what, l, value, 0, where});
}

void explorer::fence(std::memory_order order, const char* where) {
    fiber& f = me();
    if (acquires(order)) f.now.join(f.acquired);
    if (order == std::memory_order_seq_cst) {
        common_.join(f.now);
        f.now = common_;
        f.acquired.join(f.now);
    }
    if (releases(order)) f.released = f.now;
    f.history = mix(f.history, 1);
    steps_.push_back({current_, order == std::memory_order_relaxed ? "no fence" : "fence", k_nobody,
                      0, 0, where});
}

bool explorer::saw_newest(int l) {
    return me().now.at[static_cast<std::size_t>(l)] + 1u == place(l).messages.size();
}

}  // namespace

result explore(const std::function<scenario*()>& make, const options& how) {
    explorer one(make, how);
    the = &one;
    result found = one.search();
    the = nullptr;
    return found;
}

void settle(std::uint64_t kept) {
    if (!the->leaving()) the->settle(kept);
}

void require(bool holds, const char* what) {
    if (holds || !the->in_thread() || the->leaving()) return;
    the->fail(what);
    throw abandoned{};
}

void leave_out() {
    if (the->leaving()) return;
    the->leave_out();
    throw abandoned{};
}

int new_location(std::uint64_t value, bool newest_only) {
    return the->add_location(value, newest_only);
}
void name_location(int location, const char* name) { the->name(location, name); }

std::uint64_t load(int location, std::memory_order order, const char* where) {
    if (!the->in_thread()) return the->newest(location);
    if (!the->arrive()) return 0;
    return the->read(location, the->order_in(order, where), where, "load");
}

void store(int location, std::uint64_t value, std::memory_order order, const char* where) {
    if (!the->in_thread()) return the->set_first(location, value);
    if (!the->arrive()) return;
    the->write(location, value, the->order_in(order, where), where, "store", false);
}

std::uint64_t modify(int location, change how, std::uint64_t operand, std::uint64_t mask,
                     std::memory_order order, const char* where) {
    const bool in_thread = the->in_thread();
    if (in_thread && !the->arrive()) return 0;
    order = the->order_in(order, where);
    const std::uint64_t before = in_thread ? the->take_newest(location, order)
                                           : the->newest(location);
    std::uint64_t after = operand;
    switch (how) {
        case change::exchange: break;
        case change::add: after = before + operand; break;
        case change::sub: after = before - operand; break;
        case change::bit_or: after = before | operand; break;
        case change::bit_and: after = before & operand; break;
    }
    if (in_thread)
        the->write(location, after & mask, order, where, "modify", true);
    else
        the->set_first(location, after & mask);
    return before;
}

bool compare_exchange(int location, std::uint64_t& expected, std::uint64_t desired,
                      std::memory_order success, std::memory_order failure, const char* where) {
    if (!the->in_thread()) {
        const bool done = the->newest(location) == expected;
        if (done)
            the->set_first(location, desired);
        else
            expected = the->newest(location);
        return done;
    }
    if (!the->arrive()) return true;  // so that a loop around it ends
    success = the->order_in(success, where);
    // It may fail on an old value, too.
    const std::uint64_t wanted = expected;
    const std::uint64_t seen = the->read(location, the->order_in(failure, where), where, "compare",
                                         &wanted);
    expected = seen;
    if (seen != wanted) return false;
    the->take_newest(location, success);
    the->write(location, desired, success, where, "replace", true);
    return true;
}

void fence(std::memory_order order, const char* where) {
    if (!the->in_thread() || !the->arrive()) return;
    the->fence(the->order_in(order, where), where);
}

void await(int location, std::uint64_t value, std::uint64_t replacement) {
    if (!the->arrive(location, value)) return;
    the->take_newest(location, std::memory_order_acquire);
    the->write(location, replacement, std::memory_order_acquire, "await", "take", true);
}

std::uint64_t plain_load(int location) {
    if (the->in_thread())
        require(the->saw_newest(location), "a race: reads what was not published");
    return the->newest(location);
}

void plain_store(int location, std::uint64_t value) {
    if (!the->in_thread()) return the->set_first(location, value);
    if (the->leaving()) return;
    require(the->saw_newest(location), "a race: overwrites what was not published");
    the->write(location, value, std::memory_order_relaxed, "plain", "write", false);
}

}  // namespace pirn::model
