// SPDX-License-Identifier: MIT
// Tells from a mangled name that a function's arguments are all passed in registers.
#pragma once

#include <string_view>

namespace split {

// True only where the name proves it: parameters that are scalars, pointers or references and few
// enough. Classes by value, ellipses and whatever is not read prove nothing. A compiler may pass
// what a pointer points to instead, in a function that it sees all calls of (`local`).
bool takes_only_registers(std::string_view name, int integer_registers, bool local);

}  // namespace split
