// SPDX-License-Identifier: MIT
// Foreign code with copies of its own of what mixed.h has.
#include "test/growth/mix/mixed.h"

namespace mixed {

namespace {

struct foreign_class : shared_class {
    int depth(int n) override { return shared_class::depth(n) + chain(n); }
};

}  // namespace

#ifdef MIXED_OVERRIDES
extern "C" int mixed_hook(int x) {
    volatile char room[5000];
    for (volatile char& c : room) c = 1;
    return x * 100 + room[4999] - 1;
}
#endif

int their_chain(int n) { return chain(n); }
int their_instance(int n) { return instance<int>().chain(n); }
int their_built(int n) { return built(n).depth; }
int their_hook(int x) { return mixed_hook(x); }
int their_count() { return ++counter(); }
int their_thread_count() { return ++of_thread; }
int call_depth(shared_class& c, int n) { return c.depth(n); }
shared_class* make_theirs() { return new foreign_class; }
void throw_theirs(int n) { throw shared_error{"theirs", chain(n)}; }
unary* their_address_of_chain() { return &chain; }

}  // namespace mixed
