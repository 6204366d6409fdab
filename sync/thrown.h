// SPDX-License-Identifier: MIT
// A look at an exception while the frames of who threw it still stand.
//
// The unwinder first looks for a handler, with the stack as it is, and asks the types of handlers
// whether they match. The type here never does; it calls what the goroutine has set. So, in a try
// block whose handlers are
//     catch (abi::__forced_unwind&) { throw; }
//     catch (detail::looked_at&) {}
//     catch (...) { ... }
// the look comes before what the last of these sees. There is no other way to a thrower's frames
// but to replace the function that throws, or the personality of the frame, which is in assembly.
#pragma once

#include <typeinfo>

#include <pirn/runtime.h>

namespace pirn::detail {

// Nothing is of this type; its type_info is in thrown.cc.
class looked_at {
  public:
    virtual ~looked_at();
};

// Called with an exception's type and its object. Must not throw.
struct thrown_look {
    void (*look)(void* arg, const std::type_info& type, void* object) = nullptr;
    void* arg = nullptr;
};
// The calling goroutine's. Null, as at first: nothing is called.
thrown_look& own_thrown_look();

// what() of the object, if it is a std::exception; else null.
const char* what_of(const std::type_info& type, void* object);

}  // namespace pirn::detail
