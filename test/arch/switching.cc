// SPDX-License-Identifier: MIT
// A subject that switches while it holds as many live values as it can, and says which were lost.
//
// Each run is a ring of contexts, one after the other; the last one does nothing but fill every
// register with rubbish before it switches on. So a register that the wrapper forgot to declare as
// clobbered cannot hold by luck what it held before.
#include <alloca.h>

#include ARCH_TEST_REGISTERS
#include "arch/arch.h"
#include "test/arch/subject.h"

extern "C" {
unsigned long arch_test_callee_saved(void (*fn)(void*), void* arg, unsigned long seed);
void* arch_test_call_sp(void*);
void arch_test_first_entry(void*);
}

namespace arch_test {
namespace {

using pirn::arch::call_on;
using pirn::arch::context;
using pirn::arch::jump_to;
using pirn::arch::make_context;
using pirn::arch::switch_to;

__extension__ using int128 = unsigned __int128;
using vector = std::uint64_t __attribute__((vector_size(16)));

ARCH_TEST_INLINE void hide(std::uint64_t& v) {
    hide_integer(v);
}
ARCH_TEST_INLINE void hide(float& v) {
    hide_float(v);
}
ARCH_TEST_INLINE void hide(double& v) {
    hide_float(v);
}
ARCH_TEST_INLINE void hide(vector& v) {
    hide_float(v);
}
ARCH_TEST_INLINE void hide(long double& v) {
    hide_extended(v);
}
ARCH_TEST_INLINE void hide(int128& v) {
    auto low = static_cast<std::uint64_t>(v), high = static_cast<std::uint64_t>(v >> 64);
    hide_integer(low);
    hide_integer(high);
    v = (static_cast<int128>(high) << 64) | low;
}

// A value of each kind that is exact in it; out parameters, because passing a vector by value is a
// matter of the ABI that compilers warn about.
ARCH_TEST_INLINE void value_of(std::uint64_t x, std::uint64_t& v) {
    v = x;
}
ARCH_TEST_INLINE void value_of(std::uint64_t x, float& v) {
    v = static_cast<float>(x >> 41);
}
ARCH_TEST_INLINE void value_of(std::uint64_t x, double& v) {
    v = static_cast<double>(x >> 12);
}
ARCH_TEST_INLINE void value_of(std::uint64_t x, long double& v) {
    v = static_cast<long double>(static_cast<std::int64_t>(x >> 1));
}
ARCH_TEST_INLINE void value_of(std::uint64_t x, vector& v) {
    v = vector{x, ~x};
}
ARCH_TEST_INLINE void value_of(std::uint64_t x, int128& v) {
    v = (static_cast<int128>(x) << 64) | ~x;
}

template <class T>
ARCH_TEST_INLINE bool differ(const T& a, const T& b) {
    return a != b;
}
ARCH_TEST_INLINE bool differ(const vector& a, const vector& b) {
    const vector d = a ^ b;
    return (d[0] | d[1]) != 0;
}

ARCH_TEST_INLINE void note(tally& t, bool wrong, const char* what) {
    if (!wrong) return;
    if (t.wrong++ == 0) t.first_wrong = what;
}

template <class T>
constexpr const char* k_kind = "a vector";
template <>
constexpr const char* k_kind<std::uint64_t> = "an integer";
template <>
constexpr const char* k_kind<float> = "a float";
template <>
constexpr const char* k_kind<double> = "a double";
template <>
constexpr const char* k_kind<long double> = "a long double";
template <>
constexpr const char* k_kind<int128> = "a 128-bit integer";

// N values of one kind, each a variable of its own for the optimiser.
template <class T, int N>
struct live {
    T value;
    live<T, N - 1> rest;

    ARCH_TEST_INLINE void fill(std::uint64_t seed) {
        value_of(seed * (2 * N + 1), value);
        rest.fill(seed);
    }
    ARCH_TEST_INLINE void pass() {
        hide(value);
        rest.pass();
    }
    ARCH_TEST_INLINE void check(std::uint64_t seed, tally& t) const {
        T expected;
        value_of(seed * (2 * N + 1), expected);
        note(t, differ(value, expected), k_kind<T>);
        rest.check(seed, t);
    }
};

template <class T>
struct live<T, 0> {
    ARCH_TEST_INLINE void fill(std::uint64_t) {}
    ARCH_TEST_INLINE void pass() {}
    ARCH_TEST_INLINE void check(std::uint64_t, tally&) const {}
};

// More values than either CPU has registers of that kind, and some of every kind at once.
struct integers {
    live<std::uint64_t, 33> a;
};
struct wide_integers {
    live<int128, 17> a;
};
struct doubles {
    live<double, 34> a;
};
struct extended {
    live<long double, 10> a;
};
struct one_extended {
    live<long double, 1> a;  // alone, it may stay on the x87 stack
};
struct vectors {
    live<vector, 34> a;
};
struct mixture {
    live<std::uint64_t, 10> a;
    live<int128, 3> b;
    live<float, 5> c;
    live<double, 9> d;
    live<vector, 9> e;
    live<long double, 3> f;
};

template <class Values>
struct each_of {
    ARCH_TEST_INLINE static void fill(Values& v, std::uint64_t seed) { v.a.fill(seed); }
    ARCH_TEST_INLINE static void pass(Values& v) { v.a.pass(); }
    ARCH_TEST_INLINE static void check(const Values& v, std::uint64_t seed, tally& t) {
        v.a.check(seed, t);
    }
};

template <>
struct each_of<mixture> {
    ARCH_TEST_INLINE static void fill(mixture& v, std::uint64_t seed) {
        v.a.fill(seed + 1);
        v.b.fill(seed + 2);
        v.c.fill(seed + 3);
        v.d.fill(seed + 4);
        v.e.fill(seed + 5);
        v.f.fill(seed + 6);
    }
    ARCH_TEST_INLINE static void pass(mixture& v) {
        v.a.pass();
        v.b.pass();
        v.c.pass();
        v.d.pass();
        v.e.pass();
        v.f.pass();
    }
    ARCH_TEST_INLINE static void check(const mixture& v, std::uint64_t seed, tally& t) {
        v.a.check(seed + 1, t);
        v.b.check(seed + 2, t);
        v.c.check(seed + 3, t);
        v.d.check(seed + 4, t);
        v.e.check(seed + 5, t);
        v.f.check(seed + 6, t);
    }
};

// A ring of up to three contexts; at[0] is the thread's own. Every word that travels is one more
// than the word that came in, so each member knows what it has to receive next.
struct ring {
    context at[3];
    int size;
    tally sum;
};

struct member {
    ring* in;
    int self;
    std::uint64_t seed;
};

ARCH_TEST_INLINE void* word_of(std::uint64_t n) {
    return reinterpret_cast<void*>(n);
}
ARCH_TEST_INLINE std::uint64_t number_of(void* word) {
    return reinterpret_cast<std::uint64_t>(word);
}

// Goes round the ring `rounds` times and holds Values all the while. `sends` is its first word.
template <class Values>
ARCH_TEST_OPAQUE void hold(const member* m, std::uint64_t sends, long rounds) {
    ring* const r = m->in;
    context* const self = &r->at[m->self];
    context* const next = &r->at[(m->self + 1) % r->size];
    const auto step = static_cast<std::uint64_t>(r->size);
    std::uint64_t seed = m->seed;
    Values values;
    each_of<Values>::fill(values, seed);
    for (long i = 0; i < rounds; ++i) {
        each_of<Values>::pass(values);
        const std::uint64_t received = number_of(switch_to(self, next, word_of(sends)));
        each_of<Values>::pass(values);
        hide(seed);  // what to expect is computed anew, not kept in registers of its own
        each_of<Values>::check(values, seed, r->sum);
        note(r->sum, received != sends + step - 1, "the word");
        sends += step;
    }
}

// The entry of a ring's member: parks until the ring is complete, then goes round for ever.
template <class Values>
void hold_for_ever(void* word) {
    const member m = *static_cast<member*>(word);
    ring* const r = m.in;
    const std::uint64_t first = number_of(switch_to(&r->at[m.self], &r->at[0], nullptr));
    hold<Values>(&m, first + 1, __LONG_MAX__);
    __builtin_trap();
}

void trash_for_ever(void* word) {
    const member m = *static_cast<member*>(word);
    context* const self = &m.in->at[m.self];
    context* const next = &m.in->at[(m.self + 1) % m.in->size];
    std::uint64_t received = number_of(switch_to(self, &m.in->at[0], nullptr));
    for (;;) {
        trash_registers();
        received = number_of(switch_to(self, next, word_of(received + 1)));
    }
}

void add_member(ring& r, int self, const stack& s, void (*entry)(void*), std::uint64_t seed) {
    member m{&r, self, seed};
    make_context(&r.at[self], s.top, entry);
    switch_to(&r.at[0], &r.at[self], &m);
}

constexpr std::uint64_t k_seed = 0x9e3779b97f4a7c15, k_other_seed = 0xc2b2ae3d27d4eb4f;

template <class Values>
void hold_in_two(const stack* s, long switches, tally& sum) {
    ring r{};
    r.size = 2;
    add_member(r, 1, s[0], trash_for_ever, 0);
    const member here{&r, 0, k_seed};
    hold<Values>(&here, 1000, switches / 2);
    sum.switches += switches / 2 * 2;
    note(sum, r.sum.wrong != 0, r.sum.first_wrong);
}

// The switches are shared out among the kinds of values.
tally two_contexts(const stack* s, long switches) {
    const long each = switches / 7;
    tally sum;
    hold_in_two<integers>(s, each, sum);
    hold_in_two<wide_integers>(s, each, sum);
    hold_in_two<doubles>(s, each, sum);
    hold_in_two<extended>(s, each, sum);
    hold_in_two<one_extended>(s, each, sum);
    hold_in_two<vectors>(s, each, sum);
    hold_in_two<mixture>(s, each, sum);
    return sum;
}

tally three_contexts(const stack* s, long switches) {
    ring r{};
    r.size = 3;
    add_member(r, 1, s[0], hold_for_ever<mixture>, k_other_seed);
    add_member(r, 2, s[1], trash_for_ever, 0);
    const member here{&r, 0, k_seed};
    hold<mixture>(&here, 1000, switches / 3);
    r.sum.switches = switches / 3 * 3;
    return r.sum;
}

ARCH_TEST_OPAQUE void hold_own(ring* r, long rounds) {
    std::uint64_t seed = k_seed;
    for (long i = 0; i < rounds; ++i) {
        hide(seed);
        seed += 12345;
        const long wrong = hold_cpu_kinds(seed, [r] { switch_to(&r->at[0], &r->at[1], nullptr); });
        note(r->sum, wrong != 0, "a kind of this CPU");
    }
}

tally cpu_kinds(const stack* s, long switches) {
    ring r{};
    r.size = 2;
    add_member(r, 1, s[0], trash_for_ever, 0);
    hold_own(&r, switches / 2);
    r.sum.switches = switches / 2 * 2;
    return r.sum;
}

ARCH_TEST_OPAQUE void hop(void* word) {
    auto* r = static_cast<ring*>(word);
    switch_to(&r->at[0], &r->at[1], nullptr);
}

tally callee_saved(const stack* s, long switches) {
    ring r{};
    r.size = 2;
    add_member(r, 1, s[0], trash_for_ever, 0);
    for (long i = 0; i < switches / 2; ++i) {
        const unsigned long wrong =
            arch_test_callee_saved(hop, &r, static_cast<unsigned long>(i) * k_seed);
        note(r.sum, wrong != 0, "a callee-saved register");
    }
    r.sum.switches = switches / 2 * 2;
    return r.sum;
}

// An over-aligned local in a frame of a size that only the run knows: the compiler then finds its
// locals through a second frame pointer.
ARCH_TEST_OPAQUE bool odd_frame(ring* r, std::uint64_t seed, std::size_t size) {
    alignas(64) volatile std::uint64_t aligned[8];
    auto* sized = static_cast<volatile std::uint64_t*>(alloca(size * sizeof(std::uint64_t)));
    for (std::size_t i = 0; i < 8; ++i) aligned[i] = seed + i;
    for (std::size_t i = 0; i < size; ++i) sized[i] = seed - i;
    switch_to(&r->at[0], &r->at[1], nullptr);
    bool right = reinterpret_cast<std::uintptr_t>(aligned) % 64 == 0;
    for (std::size_t i = 0; i < 8; ++i) right = right && aligned[i] == seed + i;
    for (std::size_t i = 0; i < size; ++i) right = right && sized[i] == seed - i;
    return right;
}

// A function that calls nothing may keep its locals below its stack pointer, where the ABI has a
// red zone.
ARCH_TEST_OPAQUE bool leaf_frame(ring* r, std::uint64_t seed) {
    volatile std::uint64_t local[14];
    for (std::size_t i = 0; i < 14; ++i) local[i] = seed * (i + 1);
    switch_to(&r->at[0], &r->at[1], nullptr);
    bool right = true;
    for (std::size_t i = 0; i < 14; ++i) right = right && local[i] == seed * (i + 1);
    return right;
}

tally odd_frames(const stack* s, long switches) {
    ring r{};
    r.size = 2;
    add_member(r, 1, s[0], trash_for_ever, 0);
    for (long i = 0; i < switches / 4; ++i) {
        const auto n = static_cast<std::uint64_t>(i);
        note(r.sum, !odd_frame(&r, n * k_seed, 1 + n % 7), "a frame with alloca");
        note(r.sum, !leaf_frame(&r, n * k_seed), "a leaf's frame");
    }
    r.sum.switches = switches / 4 * 4;
    return r.sum;
}

struct dialogue {
    context thread, other;
    words heard;
};

// Not reached through a word, because every word is a part of the test.
dialogue talk;

void answer(void* word) {
    talk.heard.at_first_entry = word;
    std::uint64_t n = 100;
    for (void*& heard : talk.heard.inside) {
        heard = switch_to(&talk.other, &talk.thread, word_of(n++));
    }
    jump_to(&talk.thread, word_of(n));
}

words hand_over(const stack* s) {
    talk = {};
    make_context(&talk.other, s[0].top, answer);
    void* first = switch_to(&talk.thread, &talk.other, word_of(7));
    talk.heard.outside[0] = first;
    talk.heard.outside[1] = switch_to(&talk.thread, &talk.other, word_of(8));
    talk.heard.outside[2] = switch_to(&talk.thread, &talk.other, word_of(9));
    // The last word comes by jump_to, from a stack that is not saved.
    void* last = switch_to(&talk.thread, &talk.other, word_of(10));
    if (number_of(last) != 103) talk.heard.outside[2] = nullptr;
    return talk.heard;
}

struct jump {
    context thread, other;
    std::uint64_t came;
};

void jump_back(void* word) {
    auto* j = static_cast<jump*>(word);
    jump_to(&j->thread, word_of(++j->came));
}

// A stack that was left by jump_to is as good as new. Returns how often all went well.
long jumps(const stack* s, long count) {
    jump j{};
    long right = 0;
    for (long i = 1; i <= count; ++i) {
        make_context(&j.other, s[0].top, jump_back);
        void* word = switch_to(&j.thread, &j.other, &j);
        if (number_of(word) == static_cast<std::uint64_t>(i)) ++right;
    }
    return right;
}

struct called {
    call seen;
    int result;
};

ARCH_TEST_OPAQUE void* callee(void* argument) {
    auto* c = static_cast<called*>(argument);
    volatile char local = 1;
    c->seen.argument = argument;
    c->seen.some_local = const_cast<const char*>(&local);
    return &c->result;
}

struct first_entry {
    void (*seen)(first_entry* self, void* sp);
    context thread, other;
};

[[noreturn]] void first_entry_seen(first_entry* self, void* sp) {
    jump_to(&self->thread, sp);
}

call call_on_stack(const stack* s) {
    called c{};
    c.seen.result = call_on(s[0].top, callee, &c);
    // Not through the pointer that the call handed back, to see that it is the right one.
    if (c.seen.result != &c.result) c.seen.result = nullptr;
    if (c.seen.argument != &c) c.seen.argument = nullptr;
    c.seen.sp_at_call = call_on(s[1].top, arch_test_call_sp, nullptr);
    first_entry e{first_entry_seen, {}, {}};
    make_context(&e.other, s[2].top, arch_test_first_entry);
    c.seen.sp_of_first_entry = switch_to(&e.thread, &e.other, &e);
    return c.seen;
}

#define ARCH_TEST_TEXT_OF(x) #x
#define ARCH_TEST_TEXT(x) ARCH_TEST_TEXT_OF(x)

[[maybe_unused]] const bool enrolled =
    can_run() &&
    enroll(switching{ARCH_TEST_TEXT(ARCH_TEST_NAME), two_contexts, three_contexts, cpu_kinds,
                     callee_saved, odd_frames, hand_over, jumps, call_on_stack});

}  // namespace
}  // namespace arch_test
