// SPDX-License-Identifier: MIT
// Names of code addresses for reports: the program's own symbol table, static functions included.
#pragma once

#include <cstddef>

namespace pirn::rt {

// Writes "function+0xOFFSET" (demangled), or the object's file name, or nothing known as "?", to
// `out` (always terminated). Reads files and may allocate: for reports that end the process and
// for dumps, not for hot paths.
void describe_address(const void* address, char* out, std::size_t size);

}  // namespace pirn::rt
