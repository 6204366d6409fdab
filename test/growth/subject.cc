// SPDX-License-Identifier: MIT
// Running subjects: the same for each host.
#include "test/growth/subject.h"

#include <exception>

#include <pirn/chan.h>
#include <pirn/debug.h>

namespace growth {

namespace {

constinit const subject* first = nullptr;
constinit const subject** last_link = &first;

// Tells the main goroutine by whatever way the subject ends, goexit included.
void be_subject(const subject& s, verdict& v, const pirn::chan<void>& ended) {
    const pirn::defer tell{[&] { ended.close(); }};
    try {
        s.body(v);
    } catch (const std::exception&) {
        v.fail("an exception left the subject", s.line);
    }
}

// Goroutines parked around the subject's block, which see it if somebody writes to their stacks: a
// call that should have hopped and did not is silent otherwise.
class neighbours {
  public:
    // Parks them, and leaves a gap of ended ones in their midst for the subject's block.
    explicit neighbours(verdict& v) : v_(v) {
        const auto gap = pirn::make_chan<void>();
        crowd between;
        park(all_, k_count / 2, end_);
        park(between, k_gap, gap);
        park(all_, k_count / 2, end_);
        while (parked_.load() < k_count + k_gap) pirn::yield();
        gap.close();
        between.wait();
    }
    ~neighbours() {
        end_.close();
        all_.wait();
    }

  private:
    static constexpr int k_count = 32, k_gap = 4;

    void park(crowd& in, int count, const pirn::chan<void>& until) {
        for (int i = 0; i < count; ++i) {
            in.start([this, until] {
                ballast<600> mine;
                ++parked_;
                (void)until.recv();
                if (mine.damage() != 0) v_.fail("a neighbour's stack was written to", __LINE__);
            });
        }
    }

    verdict& v_;
    std::atomic<int> parked_{0};
    pirn::chan<void> end_ = pirn::make_chan<void>();
    crowd all_;
};

}  // namespace

void verdict::fail(const char* what, int line) noexcept {
    if (failures_.fetch_add(1) != 0) return;
    what_ = what;
    line_ = line;
}

subject::subject(const char* n, void (*b)(verdict&), const char* f, int l, bool s)
    : name(n), body(b), file(f), line(l), slow(s) {
    *last_link = this;
    last_link = const_cast<const subject**>(&next);
    enroll(*this);
}

const subject* first_subject() { return first; }

namespace {

// Runs it from a goroutine's entry function that is another one for each number: a function that
// happens to lie at the start of a page is taken for foreign and starts on a large stack.
template <int Number>
void run_from_entry(const subject& s, int procs, verdict& v) {
    pirn::run(
        [&] {
            const neighbours around(v);
            const std::uint64_t hops = pirn::runtime_stats().hops;
            const auto ended = pirn::make_chan<void>();
            pirn::go({.name = s.name, .stack = k_subject_stack}, [&s, &v, ended] {
                v.entry = Number;   // Which also keeps the two from being made one.
                be_subject(s, v, ended);
            });
            (void)ended.recv();
            v.hops += pirn::runtime_stats().hops - hops;
        },
        {.procs = procs});
}

}  // namespace

void run_subject(const subject& s, int procs, verdict& v) {
    run_from_entry<1>(s, procs, v);
    if (k_subject_stack != 0 || v.hops != 0) return;
    // None of them is content with what a goroutine starts on; not both entries start pages.
    run_from_entry<2>(s, procs, v);
    if (v.hops == 0) v.fail("nothing hopped", s.line);
}

}  // namespace growth
