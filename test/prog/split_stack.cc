// SPDX-License-Identifier: MIT
// EXPECT status 2
// EXPECT stderr: fatal error: this program links libgcc's __morestack
// EXPECT stderr: compile it without -fsplit-stack
// EXPECT not stderr: ran
// Code compiled with -fsplit-stack has the limit of its stacks in the same word of the thread.
#include <cstdio>

#include <pirn/runtime.h>

// In split_stack_object.cc.
int needs_split_stacks(int n);

int main() {
    return pirn::run([] { std::fprintf(stderr, "ran %d\n", needs_split_stacks(3)); });
}
