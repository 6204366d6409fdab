// SPDX-License-Identifier: MIT
// Tells jumps within a function through a register or memory from tail calls.
//
// A jump through a register is a jump within its function where a table of the function's own
// labels is proven to feed it, or where sp is not where the function found it. Else it is a tail
// call, if nothing speaks against that. Where both are possible it is left as it is, and the
// function gets enough stack at its entry for a call of foreign code.
#pragma once

#include <cstdint>
#include <vector>

#include "split/cpu.h"
#include "split/reader.h"

namespace split {

// An instruction of the function that is being scanned, or a label (no_label unset).
struct step {
    uint32_t statement;
    bool label;
    insn what;
};

enum class jump_class : uint8_t { within, tail_call, cannot_tell, impossible };

// Which code labels have their address taken, and which data symbols are tables of such labels.
class label_tables {
  public:
    explicit label_tables(const unit& u);
    // Whether the symbol is a table of labels of function f, or such a label.
    bool belongs(uint32_t symbol, uint32_t f) const;
    // Whether f has labels that a computed goto may use: in a table that the program names, or
    // taken the address of by an instruction.
    bool has_goto_labels(uint32_t f) const { return goto_labels_[f]; }
    bool has_tables(uint32_t f) const { return tables_[f]; }
    void note_address(uint32_t symbol);  // an instruction takes it

  private:
    uint32_t home(uint32_t symbol) const;  // the function that a code label stands in
    const unit& u_;
    std::vector<uint32_t> table_of_;          // by symbol: the function whose labels it lists
    std::vector<bool> is_base_;               // by symbol: entries of a table are counted from it
    std::vector<bool> goto_labels_, tables_;  // by function
};

// `at` is the jump's place among the function's steps. `unmoved`: sp may be where it was at entry.
jump_class classify(const unit& u, const cpu& c, const label_tables& t, uint32_t f,
                    const std::vector<step>& steps, size_t at, bool unmoved);

}  // namespace split
