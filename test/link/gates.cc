// SPDX-License-Identifier: MIT
// Asks, in a program as a user links it, whether every gate is in force: whether the name that the
// pass gives to a call is the run time's, although this object carries a weak definition of it.
//
// Built by each linker there is. Prints what is not as it should be; ends with status 1 then.
#include "runtime/gate.h"
#include "runtime/gates.h"

#include <cstdarg>
#include <cstdio>

#include <pirn/runtime.h>

namespace {

int looked_at = 0;
int failures = 0;

using address = void (*)();

// Through memory, or a compiler knows that two names are two functions.
void expect_gate(const char* symbol, address gate, address split, address splita) {
    const volatile address all[] = {gate, split, splita};
    ++looked_at;
    if (all[0] != nullptr && all[0] == all[1] && all[0] == all[2]) return;
    std::printf("WRONG: calls of %s go past the gate\n", symbol);
    ++failures;
}

template <class F>
address address_of(F* f) {
    return reinterpret_cast<address>(f);
}

// A value that the compiler does not know.
template <class T>
T some() {
    T value{};
    asm volatile("" : "+m"(value));
    return value;
}

}  // namespace

using namespace pirn::rt;

#define VALUES_0(F)
#define VALUES_1(F) some<parameter_of<F, 0>>()
#define VALUES_2(F) VALUES_1(F), some<parameter_of<F, 1>>()
#define VALUES_3(F) VALUES_2(F), some<parameter_of<F, 2>>()
#define VALUES_4(F) VALUES_3(F), some<parameter_of<F, 3>>()
#define VALUES_5(F) VALUES_4(F), some<parameter_of<F, 4>>()
#define VALUES_6(F) VALUES_5(F), some<parameter_of<F, 5>>()
#define VALUES_7(F) VALUES_6(F), some<parameter_of<F, 6>>()

// All are weak: a reference from here must not be what brings the gates into the link. The call is
// never made, but it is there, and the pass has a weak definition stand in for it.
#define HIDDEN extern "C" [[gnu::weak, gnu::visibility("hidden")]]
#define LOOK(name, symbol, type, parameters)                                                   \
    extern "C" [[gnu::weak]] type called_##name asm(symbol);                                   \
    HIDDEN type gate_##name asm("pirn_gate_" #name);                                           \
    HIDDEN type split_##name asm("__split$" symbol);                                           \
    HIDDEN type splita_##name asm("__splita$" symbol);                                         \
    [[gnu::noinline]] static void look_at_##name(const char* const* arguments) {               \
        if (arguments == nullptr) static_cast<void>(called_##name(VALUES_##parameters(type))); \
        expect_gate(symbol, address_of(gate_##name), address_of(split_##name),                 \
                    address_of(splita_##name));                                                \
    }

using one_argument = int(void*);

#define DEFINE_CXX(name, symbol, type, parameters, ...) LOOK(name, symbol, type, parameters)
#define DEFINE_AS(name, type, parameters, ...) LOOK(name, #name, type, parameters)
#define DEFINE(name, parameters, ...) LOOK(name, #name, decltype(::name), parameters)
#define DEFINE_ONE(name) LOOK(name, #name, decltype(::name), 1)
#define DEFINE_VARIADIC(name, result, parameters, last, function, arguments) \
    LOOK(name, #name, one_argument, 1)
#define CALL(name, ...) look_at_##name(arguments);

PIRN_GATES_OF_DESCRIPTORS(DEFINE, DEFINE_AS)
PIRN_GATES_OF_WAITS(DEFINE, DEFINE_AS)
PIRN_GATES_OF_CXX(DEFINE_CXX)
PIRN_GATES_OF_STREAMS(DEFINE, DEFINE_AS)
PIRN_GATES_VARIADIC(DEFINE_VARIADIC)
PIRN_GATES_VARIADIC_23(DEFINE_VARIADIC)
PIRN_GATES_OF_LOCKS(DEFINE, DEFINE_ONE, DEFINE_ONE)
PIRN_GATES_OF_ONCE(DEFINE, DEFINE_AS)

int main(int, char** argv) {
    pirn::run([] {});
    const char* const* arguments = argv;
    PIRN_GATES_OF_DESCRIPTORS(CALL, CALL)
    PIRN_GATES_OF_WAITS(CALL, CALL)
    PIRN_GATES_OF_CXX(CALL)
    PIRN_GATES_OF_STREAMS(CALL, CALL)
    PIRN_GATES_VARIADIC(CALL)
    PIRN_GATES_VARIADIC_23(CALL)
    PIRN_GATES_OF_LOCKS(CALL, CALL, CALL)
    PIRN_GATES_OF_ONCE(CALL, CALL)
    std::printf("%d gates\n", looked_at);
    return failures == 0 && looked_at > 0 ? 0 : 1;
}
