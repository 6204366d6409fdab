// SPDX-License-Identifier: MIT
// Gates of functions with variable arguments call others in their place (vprintf for printf), which
// a static program need not have. Here they are asked for: in gates.cc every name is weak.
#ifdef PIRN_SPLIT

#include "runtime/gates.h"

#define ASK_FOR(name, result, parameters, last, function, arguments) \
    extern "C" void pirn_wanted_##name() asm(#function);
#define LIST(name, result, parameters, last, function, arguments) &pirn_wanted_##name,

#if !__GLIBC_PREREQ(2, 38)
#undef PIRN_GATES_VARIADIC_23
#define PIRN_GATES_VARIADIC_23(...)
#endif

PIRN_GATES_VARIADIC(ASK_FOR)
PIRN_GATES_VARIADIC_23(ASK_FOR)

namespace pirn::rt {

using any_function = void (*)();
[[gnu::visibility("hidden")]] extern const any_function called_by_gates[];
const any_function called_by_gates[] = {PIRN_GATES_VARIADIC(LIST)
                                              PIRN_GATES_VARIADIC_23(LIST)};

}  // namespace pirn::rt

#endif
