// SPDX-License-Identifier: MIT
// Tells jumps within a function through a register or memory from tail calls.
#include "split/jumps.h"

#include <bit>

#include "split/text.h"

namespace split {

namespace {

bool is_data(std::string_view op) {
    return same(op, ".quad") || same(op, ".long") || same(op, ".xword") || same(op, ".word") ||
           same(op, ".byte") || same(op, ".8byte") || same(op, ".4byte") || same(op, ".2byte") ||
           same(op, ".hword") || same(op, ".short") || same(op, ".dword");
}

// Compilers name the tables of their switches ".L" and a number (gcc) or ".LJTI..." (clang).
bool names_switch_table(std::string_view name) {
    return begins(name, ".LJTI") || (name.size() > 2 && begins(name, ".L") && is_digit(name[2]));
}

}  // namespace

label_tables::label_tables(const unit& u)
    : u_(u),
      table_of_(u.symbols.size(), k_none),
      is_base_(u.symbols.size()),
      goto_labels_(u.functions.size()),
      tables_(u.functions.size()) {
    uint32_t table = k_none;
    for (const statement& s : u.statements) {
        if (s.kind == statement_kind::blank || !u.sections[s.section].tables) continue;
        if (s.kind == statement_kind::label) {
            table = s.symbol;
        } else if (s.kind == statement_kind::directive && is_data(s.op) && table != k_none) {
            std::string_view entries = s.args;
            while (!entries.empty()) {
                std::string_view entry = take_part(entries);
                while (entry.starts_with('(')) entry.remove_prefix(1);
                std::string_view name = leading_name(entry);
                if (!begins(name, ".L")) continue;
                uint32_t label = u.symbols.find(name);
                if (label == k_none || home(label) == k_none) continue;
                uint32_t f = home(label);
                table_of_[table] = f;
                (names_switch_table(u.symbols[table].name) ? tables_ : goto_labels_)[f] = true;
                size_t minus = entry.find('-', name.size());
                if (minus == entry.npos) continue;
                uint32_t base = u.symbols.find(leading_name(trim(entry.substr(minus + 1))));
                if (base != k_none) is_base_[base] = true;
            }
        }
    }
}

uint32_t label_tables::home(uint32_t symbol) const {
    const split::symbol& s = u_.symbols[symbol];
    if (s.function == k_none || s.is_entry || s.label == k_none) return k_none;
    if (!u_.sections[s.section].code) return k_none;
    uint32_t parent = u_.functions[s.function].parent;
    return parent != k_none ? parent : s.function;
}

bool label_tables::belongs(uint32_t symbol, uint32_t f) const {
    return symbol < table_of_.size() && (table_of_[symbol] == f || home(symbol) == f);
}

void label_tables::note_address(uint32_t symbol) {
    uint32_t f = symbol < is_base_.size() && !is_base_[symbol] ? home(symbol) : k_none;
    if (f != k_none) goto_labels_[f] = true;
}

namespace {

class tracer {
  public:
    tracer(const unit& u, const cpu& c, const label_tables& t, uint32_t f,
           const std::vector<step>& steps)
        : u_(u), cpu_(c), tables_(t), f_(f), steps_(steps) {}

    bool names_table(const insn& i) const {
        if (i.symbol.empty()) return false;
        uint32_t symbol = u_.symbols.find(i.symbol);
        return symbol != k_none && tables_.belongs(symbol, f_);
    }

    // Whether something that leads to `reg` before step `at` is the address of a table or label.
    bool register_from_table(int reg, size_t at, int depth = 0) const {
        if (depth > 12) return false;
        uint64_t bit = 1ull << reg;
        bool crossed = false;
        for (size_t k = at; k-- > 0;) {
            const step& s = steps_[k];
            if (s.label) {
                crossed = true;
                continue;
            }
            if (s.what.where == flow::call || s.what.where == flow::call_through) {
                if (cpu_.clobbered_by_calls() & bit) return false;
                continue;
            }
            if (!(s.what.writes & bit)) continue;
            // Beyond a label only a register with one definition is sure to come from it.
            if (crossed && definitions(reg) > 1) return false;
            return instruction_from_table(s.what, k, depth);
        }
        return false;
    }

    bool instruction_from_table(const insn& i, size_t at, int depth) const {
        if (names_table(i)) return true;
        uint64_t sources = i.reads;
        for (int m = 0; m < i.memories; ++m) {
            const memory& from = i.memory_at[static_cast<size_t>(m)];
            if (from.base != cpu_.sp() && from.base != cpu_.frame_pointer()) continue;
            sources &= ~(1ull << from.base);
            if (!from.indexed && slot_from_table(from, at, depth)) return true;
        }
        for (; sources; sources &= sources - 1) {
            if (register_from_table(std::countr_zero(sources), at, depth + 1)) return true;
        }
        return false;
    }

    // A load that names no table, through a pointer and without an index: what virtual calls do
    // and switches do not. 1: so it is, 0: it is not, -1: cannot be seen.
    int plain_load(const insn& i, size_t at) const {
        if (i.memories) {
            const memory& from = i.memory_at[0];
            return !from.indexed && from.base != cpu_.sp() && from.base != cpu_.frame_pointer();
        }
        uint64_t sources = i.reads;
        if (std::popcount(sources) != 1) return 0;
        uint64_t bit = sources;
        for (size_t k = at; k-- > 0;) {
            const step& s = steps_[k];
            if (s.label) return -1;
            if (s.what.where == flow::call || s.what.where == flow::call_through) {
                if (cpu_.clobbered_by_calls() & bit) return 1;
            }
            if (!(s.what.writes & bit)) continue;
            bool move = s.what.what == effect::add && s.what.imm == 0 && s.what.a >= 0;
            if (s.what.memories || move) return plain_load(s.what, k);
            return 0;
        }
        return 1;  // an argument of this function
    }

  private:
    int definitions(int reg) const {
        uint64_t bit = 1ull << reg;
        int n = cpu_.argument_registers() & bit ? 1 : 0;
        for (const step& s : steps_) {
            bool restores = (cpu_.saved_by_callee() & bit) && s.what.memories &&
                            !s.what.memory_at[0].write && s.what.memory_at[0].base == cpu_.sp();
            n += !s.label && (s.what.writes & bit) && !restores;
        }
        return n;
    }

    bool slot_from_table(const memory& slot, size_t at, int depth) const {
        for (size_t k = at; k-- > 0;) {
            const insn& i = steps_[k].what;
            if (steps_[k].label || !i.memories) continue;
            const memory& to = i.memory_at[0];
            if (!to.write || to.base != slot.base || to.disp != slot.disp || to.indexed) continue;
            for (uint64_t from = i.stored; from; from &= from - 1) {
                if (register_from_table(std::countr_zero(from), k, depth + 1)) return true;
            }
            return false;
        }
        return false;
    }

    const unit& u_;
    const cpu& cpu_;
    const label_tables& tables_;
    uint32_t f_;
    const std::vector<step>& steps_;
};

}  // namespace

jump_class classify(const unit& u, const cpu& c, const label_tables& t, uint32_t f,
                    const std::vector<step>& steps, size_t at, bool unmoved) {
    uint32_t root = u.functions[f].parent != k_none ? u.functions[f].parent : f;
    tracer trace(u, c, t, root, steps);
    const insn& jump = steps[at].what;
    if (trace.instruction_from_table(jump, at, 0)) return jump_class::within;
    bool labels = t.has_goto_labels(root);
    if (!unmoved) {
        return labels || t.has_tables(root) ? jump_class::within : jump_class::impossible;
    }
    if (labels) return jump_class::cannot_tell;
    if (t.has_tables(root) && trace.plain_load(jump, at) != 1) return jump_class::cannot_tell;
    return jump_class::tail_call;
}

}  // namespace split
