// SPDX-License-Identifier: MIT
// What is known of functions that did not go through the pass, by their names.
#pragma once

#include <cstdint>
#include <string_view>

namespace split {

enum class foreign_kind : uint8_t {
    ordinary,    // called through a thunk
    untouched,   // called as it stands: needs next to nothing, or has its own convention
    sets_jump,   // the same, and may return after a longjmp from another segment
    opaque,      // the same, but may use any amount of stack
    impossible,  // cannot be called from code that went through the pass
};

struct foreign {
    foreign_kind kind = foreign_kind::ordinary;
    int64_t need = 0;        // bytes of stack, return address included
    bool registers = false;  // all of its arguments are known to be passed in registers
    bool copies = false;     // writes to where a pointer says: maybe to an argument area
    std::string_view why{};  // for `impossible`
};

foreign what_is_known(std::string_view name);

}  // namespace split
