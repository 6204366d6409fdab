// SPDX-License-Identifier: MIT
// Finds what a function does with the stack: its frame, its calls, its arguments on the stack.
//
// The frame's size is the larger of two: what the unwind information says, and what a scan of
// every write to sp finds. Depths are counted downwards from sp at entry. The scan goes through
// the text once, in order. It keeps an interval for the depth, takes it along forward jumps to
// their labels, and knows of the other registers only what it can prove: which hold a constant,
// and which a place on the stack.
#pragma once

#include <cstdint>
#include <vector>

#include "split/cpu.h"
#include "split/reader.h"

namespace split {

enum class site_kind : uint8_t {
    call,
    jump,    // a tail call
    branch,  // a conditional one
    call_through,
    jump_through,
    stack_test,  // after a change of sp that is not known beforehand
    after_set_jump,
};

// A statement that the writer has to do something about.
struct site {
    uint32_t statement;
    site_kind kind;
    uint32_t symbol = k_none;  // of what is called directly
    insn what;
    int64_t depth = 0;       // of sp there
    bool exact = true;       // whether the depth is certain
    bool arguments = false;  // some may lie on the stack ...
    int64_t bytes = 0;       // ... within so many bytes from sp, or k_all_arguments
};

struct frame {
    int64_t bytes = 0;      // below sp at entry, as far as it is static
    int64_t asm_bytes = 0;  // used by inline assembly, as .pirn_need says
    int64_t arguments = 0;  // on the stack, accessed by the function; or k_all_arguments
    bool calls = false;
    bool red_zone = false;
    bool dynamic = false;
    std::vector<site> sites;
};

// One for each function, in their order. A cold partition's is joined to its function's and
// keeps its own sites only. Names that only calls mention become symbols.
std::vector<frame> scan_frames(unit& u, const cpu& c);

}  // namespace split
