// SPDX-License-Identifier: MIT
// Finds what a function does with the stack: its frame, its calls, its arguments on the stack.
#include "split/frames.h"

#include <algorithm>
#include <bit>

#include "split/jumps.h"
#include "split/needs.h"
#include "split/signature.h"
#include "split/text.h"

namespace split {

namespace {

struct value {
    enum { unknown, constant, stack } kind = unknown;
    int64_t lo = 0, hi = 0;  // a constant, or depths between which the place lies

    bool is_stack() const { return kind == stack; }
    bool exact() const { return lo == hi; }
};

value constant(int64_t n) {
    return {value::constant, n, n};
}
value place(int64_t lo, int64_t hi) {
    return {value::stack, lo, hi};
}

struct state {
    std::array<value, 32> regs;
    int8_t cfa_register;
    int64_t cfa_offset;
};

// What is known of sp at a label.
struct arrival {
    bool seen = false;  // a jump to it came before it
    bool passed = false;
    bool lost = false;
    int64_t lo = 0, hi = 0;
    size_t step = 0;
};

int64_t round_up(int64_t n, int64_t to) {
    return (n + to - 1) / to * to;
}

}  // namespace

class frame_scan {
  public:
    frame_scan(unit& u, const cpu& c, label_tables& t, std::vector<arrival>& arrivals, uint32_t id,
               const frame* parent)
        : u_(u),
          cpu_(c),
          tables_(t),
          arrivals_(arrivals),
          id_(id),
          f_(u.functions[id]),
          sp_number_(c.sp()),
          fp_number_(c.frame_pointer()) {
        const symbol& name = u.symbols[u.functions[root()].name];
        bool local = name.binding == symbol_binding::local;
        registers_only_ = takes_only_registers(name.name, c.integer_arguments(), local);
        s_.cfa_register = c.sp();
        s_.cfa_offset = c.return_address_bytes();
        sp() = place(0, 0);
        if (parent) {  // a cold partition is entered in the middle of things
            body_depth_ = parent->bytes;
            reachable_ = false;
            sp() = place(parent->bytes, parent->bytes);
        }
    }
    void decode();
    frame run();

  private:
    value& sp() { return s_.regs[static_cast<size_t>(sp_number_)]; }
    uint32_t root() const { return f_.parent != k_none ? f_.parent : id_; }
    bool lost() { return !sp().is_stack(); }

    void cfi(uint32_t at);
    void escape(std::string_view bytes);
    void label(uint32_t symbol, size_t k);
    void waiting_labels();
    uint64_t kept_by_loop(uint32_t symbol, size_t k) const;
    void inline_asm(const statement& s);
    void instruction(size_t k);
    void addresses(const insn& i);
    void argument_access(const value& base, const memory& m);
    void outgoing(const insn& i, const value& after);
    void apply(const insn& i);
    value result(const insn& i);
    void transfer(size_t k);
    void call(size_t k);
    void jump(size_t k);
    void jump_to_label(size_t k, uint32_t symbol);
    void grows_in_loop(size_t k, arrival& to);
    void jump_through(size_t k);
    void tail_call(size_t k, site_kind kind, uint32_t symbol);
    site& add_site(size_t k, site_kind kind, uint32_t symbol);
    void may_pass();
    void settle();

    unit& u_;
    const cpu& cpu_;
    label_tables& tables_;
    bool is_join(const statement& s) const;

    std::vector<arrival>& arrivals_;
    uint32_t id_;
    const function& f_;
    const int8_t sp_number_, fp_number_;
    bool registers_only_;  // the function's own arguments

    std::vector<step> steps_;
    std::array<int, 64> definitions_{};
    frame out_;
    state s_{};
    std::vector<state> remembered_;
    std::vector<std::pair<uint32_t, size_t>> waiting_;  // labels of the next instruction
    bool reachable_ = true;
    int64_t body_depth_ = 0;         // at the last call or jump
    int64_t landing_depth_ = 0;      // where the unwinder leaves sp, for the deepest call so far
    int64_t pushed_arguments_ = 0;   // as the unwind information says: it takes them off
    uint64_t written_ = 0;           // registers that no longer hold what they held at entry
    int64_t frame_pointer_at_ = -1;  // depth where it was saved
    value compared_;                 // what sp was compared with last
    uint32_t asm_block_ = 0;
    bool asm_uses_ = false, asm_says_ = false;

    // Places where arguments of a call may have been stored at sp, and proofs of the contrary.
    struct mark {
        int64_t depth;
        bool exact, pushed;
    };
    std::vector<mark> marks_;
    std::vector<int64_t> no_arguments_at_;
    uint64_t holds_sp_ = 0;  // argument registers that were given sp and not used since
};

// A label that control may come to. Those that gcc sets for the debugger and the unwinder are not:
// .LVL9, .LBB9, .LEHB9 and their like. clang's blocks are .LBB9_1.
bool frame_scan::is_join(const statement& s) const {
    if (s.kind != statement_kind::label || s.symbol == k_none) return false;
    std::string_view name = u_.symbols[s.symbol].name;
    if (!begins(name, ".L")) return true;
    size_t letters = 0;
    while (2 + letters < name.size() && name[2 + letters] >= 'A' && name[2 + letters] <= 'Z')
        ++letters;
    bool is_number = 2 + letters < name.size() && is_digit(name[2 + letters]);
    return letters == 0 || !is_number || name.find('_') != name.npos ||
           begins(name, ".LPSRL");  // a loop of stack probes
}

void frame_scan::decode() {
    steps_.reserve(f_.end - f_.begin);
    for (uint32_t i = f_.begin; i < f_.end; ++i) {
        const statement& s = u_.statements[i];
        if (s.section != f_.section || s.asm_block) continue;
        if (is_join(s)) {
            steps_.push_back({i, true, {}});
        } else if (s.kind == statement_kind::instruction) {
            step& k = steps_.emplace_back(step{i, false, {}});
            try {
                k.what = cpu_.decode(s);
            } catch (const char* why) {
                throw not_understood(i, why);
            }
            for (uint64_t w = k.what.writes; w; w &= w - 1) {
                int r = std::countr_zero(w);
                // Restoring the frame pointer does not count: it is set once for the function.
                if (r != fp_number_ || k.what.what != effect::none) {
                    ++definitions_[static_cast<size_t>(r)];
                }
            }
            if (!k.what.symbol.empty()) {
                uint32_t symbol = u_.symbols.find(k.what.symbol);
                if (symbol != k_none) tables_.note_address(symbol);
                if (what_is_known(k.what.symbol).kind == foreign_kind::sets_jump) {
                    throw not_understood(i,
                                         "a pointer to setjmp: call it by its name "
                                         "(with -fplt)");
                }
            }
        }
    }
}

frame frame_scan::run() {
    size_t k = 0;
    for (uint32_t i = f_.begin; i < f_.end; ++i) {
        const statement& s = u_.statements[i];
        if (s.section != f_.section || s.kind == statement_kind::blank) continue;
        if (s.asm_block) {
            waiting_labels();
            inline_asm(s);
        } else if (s.kind == statement_kind::directive) {
            if (begins(s.op, ".cfi_")) cfi(i);
            if (same(s.op, ".tlsdesccall") && k < steps_.size()) {
                out_.dynamic = true;
                steps_[k].what.tls = true;  // the call that follows
            }
        } else if (s.kind == statement_kind::label) {
            if (is_join(s)) waiting_.emplace_back(s.symbol, k++);
        } else {
            waiting_labels();
            instruction(k++);
        }
    }
    waiting_labels();
    settle();
    return std::move(out_);
}

// What the unwind directives say holds at the next instruction, and so at the labels before it,
// behind which a cold partition and the blocks after a return have theirs.
void frame_scan::waiting_labels() {
    for (auto [symbol, k] : waiting_) label(symbol, k);
    waiting_.clear();
}

// Unwind directives say where the frame begins (the CFA). Where they speak of sp they are exact.
void frame_scan::cfi(uint32_t at) {
    const statement& s = u_.statements[at];
    std::string_view rest = s.args;
    if (same(s.op, ".cfi_remember_state")) {
        remembered_.push_back(s_);
        return;
    }
    if (same(s.op, ".cfi_restore_state")) {
        if (remembered_.empty()) return;
        state old = remembered_.back();
        remembered_.pop_back();
        s_.cfa_register = old.cfa_register;
        s_.cfa_offset = old.cfa_offset;
        if (!reachable_) sp() = old.regs[static_cast<size_t>(sp_number_)];
    } else if (same(s.op, ".cfi_def_cfa")) {
        s_.cfa_register = cpu_.register_number(take_part(rest));
        s_.cfa_offset = parse_number(rest).value_or(s_.cfa_offset);
    } else if (same(s.op, ".cfi_def_cfa_offset")) {
        s_.cfa_offset = parse_number(rest).value_or(s_.cfa_offset);
    } else if (same(s.op, ".cfi_adjust_cfa_offset")) {
        s_.cfa_offset += parse_number(rest).value_or(0);
    } else if (same(s.op, ".cfi_def_cfa_register")) {
        s_.cfa_register = cpu_.register_number(rest);
    } else {
        if (same(s.op, ".cfi_escape")) escape(rest);
        return;
    }
    if (s_.cfa_register < 0) return;  // by an expression
    int64_t depth = s_.cfa_offset - cpu_.return_address_bytes();
    out_.bytes = std::max(out_.bytes, depth);
    value& v = s_.regs[static_cast<size_t>(s_.cfa_register)];
    if (s_.cfa_register != sp_number_ || lost() || !v.exact() || !reachable_) {
        v = place(depth, depth);
    } else if (v.lo != depth) {
        v = place(std::min(v.lo, depth), std::max(v.hi, depth));
    }
}

// Of the operations that have no directive, DW_CFA_GNU_args_size counts, with its one number.
void frame_scan::escape(std::string_view bytes) {
    constexpr int64_t k_args_size = 0x2e;
    if (parse_number(take_part(bytes)).value_or(0) != k_args_size) return;
    pushed_arguments_ = 0;
    for (int shift = 0; !bytes.empty() && shift < 28; shift += 7) {
        pushed_arguments_ |= (parse_number(take_part(bytes)).value_or(0) & 0x7f) << shift;
    }
}

// The registers that a loop leaves alone, where steps k and on are one without labels inside, and
// all jumps to its label are its own.
uint64_t frame_scan::kept_by_loop(uint32_t symbol, size_t k) const {
    bool any_place = false;
    for (int8_t r = 0; r < 32; ++r) {
        any_place |= r != sp_number_ && s_.regs[static_cast<size_t>(r)].is_stack();
    }
    if (!any_place) return 0;
    std::string_view name = u_.symbols[symbol].name;
    uint64_t written = 0, written_at_last_jump = ~0ull;
    bool inside = true;
    for (size_t i = k + 1; i < steps_.size(); ++i) {
        const insn& what = steps_[i].what;
        inside &= !steps_[i].label;
        if (steps_[i].label) continue;
        written |= what.writes;
        if (what.target != name) continue;
        if (!inside) return 0;
        written_at_last_jump = written;
    }
    return ~written_at_last_jump;
}

void frame_scan::label(uint32_t symbol, size_t k) {
    arrival& a = arrivals_[symbol];
    // Registers may come with other values from elsewhere: keep the frame's, and those that are
    // set at one place only.
    uint64_t kept = a.seen ? 0 : kept_by_loop(symbol, k);
    for (int8_t r = 0; r < 32; ++r) {
        if (r == sp_number_ || r == s_.cfa_register || (kept >> r & 1)) continue;
        if (definitions_[static_cast<size_t>(r)] > 1) s_.regs[static_cast<size_t>(r)] = {};
    }
    holds_sp_ = 0;
    compared_ = {};
    value& v = sp();
    if (a.seen) {
        if (a.lost) {
            v = {};
        } else if (!reachable_) {
            v = place(a.lo, a.hi);
        } else if (v.is_stack()) {
            v = place(std::min(v.lo, a.lo), std::max(v.hi, a.hi));
        }
    } else if (!reachable_) {
        // Reached from below, from a table or from the unwinder: sp is what it is in the body, or
        // where the unwind information took the state back that it was in then.
        int64_t depth = std::max({v.is_stack() ? v.hi : 0, body_depth_, landing_depth_});
        v = place(depth, depth);
    }
    bool uncertain = lost() || !v.exact() || (!reachable_ && !a.seen);
    if (f_.start != k_none && s_.cfa_register == sp_number_ && uncertain) {
        int64_t depth = s_.cfa_offset - cpu_.return_address_bytes();
        v = place(depth, depth);
    }
    reachable_ = true;
    a.passed = true;
    a.lost = lost();
    a.lo = v.lo;
    a.hi = v.hi;
    a.step = k;
}

void frame_scan::inline_asm(const statement& s) {
    if (s.asm_block != asm_block_) {
        if (asm_uses_ && !asm_says_) out_.dynamic = true;
        asm_block_ = s.asm_block;
        asm_uses_ = asm_says_ = false;
        // It may change any register but sp and the frame's.
        for (int8_t r = 0; r < 32; ++r) {
            if (r != sp_number_ && r != s_.cfa_register) s_.regs[static_cast<size_t>(r)] = {};
        }
        holds_sp_ = 0;
        compared_ = {};
    }
    if (s.kind == statement_kind::directive) {
        if (same(s.op, ".pirn_need")) {
            asm_says_ = true;
            out_.asm_bytes = std::max(out_.asm_bytes, parse_number(s.args).value_or(0));
        }
        return;
    }
    if (s.kind != statement_kind::instruction) return;
    if (cpu_.asm_uses_stack(s)) asm_uses_ = true;
    try {
        insn i = cpu_.decode(s);
        if (i.writes >> sp_number_ & 1) asm_uses_ = true;
        addresses(i);
    } catch (const char* why) {
        // What jumps where is its own business; it may set sp in a way of its own, though.
        if (std::string_view(why).find("stack pointer") != std::string_view::npos) {
            asm_uses_ = true;
        }
    }
}

void frame_scan::instruction(size_t k) {
    const insn& i = steps_[k].what;
    if (i.prefix) return;
    if (i.tls) out_.dynamic = true;
    addresses(i);
    value before = sp();
    apply(i);
    outgoing(i, before);
    if (i.compared_with_sp >= 0) {
        compared_ = s_.regs[static_cast<size_t>(i.compared_with_sp)];
    }
    holds_sp_ &= ~(i.where == flow::next ? i.writes | i.reads : 0);
    bool forms_sp = i.what == effect::add && i.dst >= 0 && i.dst != sp_number_ && i.dst < 32 &&
                    sp().is_stack() && sp().exact();
    if (i.dst >= 0 && i.dst < 32 && i.dst != sp_number_ && !registers_only_) {
        // A pointer to arguments may be used for all of them.
        const value& v = s_.regs[static_cast<size_t>(i.dst)];
        if (v.is_stack() && v.lo <= -cpu_.return_address_bytes()) {
            out_.arguments = k_all_arguments;
        }
    }
    if (forms_sp) {
        const value& v = s_.regs[static_cast<size_t>(i.dst)];
        uint64_t bit = 1ull << i.dst;
        if (v.is_stack() && v.exact() && v.lo == sp().lo && (cpu_.argument_registers() & bit)) {
            holds_sp_ |= bit;
        }
    }
    written_ |= i.writes;
    transfer(k);
}

// Accesses of the function's own arguments, and of the red zone.
void frame_scan::addresses(const insn& i) {
    for (int m = 0; m < i.memories; ++m) {
        const memory& at = i.memory_at[static_cast<size_t>(m)];
        if (at.base < 0 || at.base >= 32) continue;
        const value& base = s_.regs[static_cast<size_t>(at.base)];
        if (base.is_stack()) {
            argument_access(base, at);
            if (sp().is_stack() && at.disp < base.hi - sp().lo) out_.red_zone = true;
        } else if (at.base == sp_number_ && at.disp < 0) {
            out_.red_zone = true;
        }
    }
    // A pointer into the frame may be used for any of it.
    bool copies_sp = i.what == effect::add && i.a >= 0 &&
                     s_.regs[static_cast<size_t>(i.a)].is_stack() && i.dst != sp_number_ &&
                     i.dst != fp_number_;
    if (copies_sp) out_.red_zone = true;
}

void frame_scan::argument_access(const value& base, const memory& m) {
    if (registers_only_ || out_.arguments == k_all_arguments) return;
    // From the first argument on the stack to where the access begins.
    int64_t offset = m.disp - base.lo - cpu_.return_address_bytes();
    if (m.indexed || (m.address_only && offset >= 0)) {
        out_.arguments = k_all_arguments;
    } else if (!m.address_only && offset + m.size > 0) {
        out_.arguments = std::max(out_.arguments, round_up(offset + m.size, 16));
    }
}

// Marks what may be the storing of a call's arguments at sp.
void frame_scan::outgoing(const insn& i, const value& before) {
    bool saves = i.stored && !(i.stored & ~cpu_.saved_by_callee()) && !(i.stored & written_);
    uint64_t frame_bit = 1ull << fp_number_;
    if (i.pushes) {
        uint64_t harmless = cpu_.saved_by_callee() | cpu_.meaningless_at_entry();
        if (i.stored && !(i.stored & ~harmless) && !(i.stored & written_)) {
            if ((i.stored & frame_bit) && sp().is_stack()) frame_pointer_at_ = sp().lo;
        } else {
            marks_.push_back({sp().lo, sp().is_stack() && sp().exact(), true});
        }
    }
    for (int m = 0; m < i.memories && !i.pushes && !i.probe; ++m) {
        const memory& at = i.memory_at[static_cast<size_t>(m)];
        if (at.base != sp_number_) continue;
        bool at_sp = at.disp == (before.is_stack() && sp().is_stack() ? before.lo - sp().lo : 0);
        if (at.indexed ? at.disp <= 8 && (at.write || at.address_only)
                       : at_sp && (at.write || at.address_only)) {
            bool saved_here = saves && at.write && !at.indexed && sp().is_stack();
            if (saved_here) {
                no_arguments_at_.push_back(sp().lo);
                if (i.stored & frame_bit) frame_pointer_at_ = sp().lo;
            } else {
                may_pass();
            }
        }
    }
    if (i.dst >= 0 && i.dst < 32 && i.dst != sp_number_ && i.what == effect::add) {
        const value& v = s_.regs[static_cast<size_t>(i.dst)];
        bool frame_set_up = i.dst == fp_number_ && v.is_stack() && v.lo == frame_pointer_at_;
        bool at_sp = lost() ? i.a == sp_number_ && i.imm == 0
                            : v.is_stack() && v.lo <= sp().hi && v.hi >= sp().lo;
        if (at_sp && !frame_set_up) may_pass();
    } else if ((i.reads >> sp_number_ & 1) && i.dst != sp_number_ && i.compared_with_sp < 0 &&
               !i.pushes && i.where == flow::next) {
        bool base_only = false;
        for (int m = 0; m < i.memories; ++m) {
            base_only |= i.memory_at[static_cast<size_t>(m)].base == sp_number_;
        }
        if (!base_only) may_pass();  // sp itself goes somewhere
    }
}

void frame_scan::may_pass() {
    marks_.push_back({sp().lo, sp().is_stack() && sp().exact(), false});
}

value frame_scan::result(const insn& i) {
    value a = i.a >= 0 && i.a < 32 ? s_.regs[static_cast<size_t>(i.a)] : value{};
    value b = i.b >= 0 && i.b < 32 ? s_.regs[static_cast<size_t>(i.b)] : value{};
    switch (i.what) {
        case effect::none:
            return {};
        case effect::constant:
            return constant(i.imm);
        case effect::add:
            if (a.is_stack()) return place(a.lo - i.imm, a.hi - i.imm);
            if (a.kind == value::constant) return constant(a.lo + i.imm);
            return {};
        case effect::add_register:
        case effect::sub_register: {
            if (i.what == effect::add_register && b.is_stack()) std::swap(a, b);
            if (b.kind != value::constant) return {};
            int64_t n = i.what == effect::add_register ? b.lo : -b.lo;
            if (a.is_stack()) return place(a.lo - n, a.hi - n);
            if (a.kind == value::constant) return constant(a.lo + n);
            return {};
        }
        case effect::align:
            if (a.is_stack() && i.imm < 0 && std::has_single_bit(static_cast<uint64_t>(-i.imm))) {
                return place(a.lo, a.hi + std::max<int64_t>(-i.imm - cpu_.stack_step(), 0));
            }
            if (a.kind == value::constant) return constant(a.lo & i.imm);
            return {};
        case effect::insert:
            if (a.kind != value::constant) return {};
            return constant((a.lo & ~(int64_t{0xffff} << i.b)) | i.imm << i.b);
        case effect::add_vectors:
            if (!a.is_stack()) return {};
            // A vector has 16 to 256 bytes; imm counts sixteenths of it.
            if (i.imm < 0) return place(a.lo - i.imm, a.hi - 16 * i.imm);
            return place(a.lo - 16 * i.imm, a.hi - i.imm);
    }
    return {};
}

void frame_scan::apply(const insn& i) {
    if (i.restores_frame) {
        const value& fp = s_.regs[static_cast<size_t>(fp_number_)];
        int64_t depth = frame_pointer_at_ >= 0 ? frame_pointer_at_ : cpu_.return_address_bytes();
        if (fp.is_stack() && fp.exact()) depth = fp.lo;
        s_.regs[static_cast<size_t>(fp_number_)] = {};
        sp() = place(depth - cpu_.return_address_bytes(), depth - cpu_.return_address_bytes());
        return;
    }
    value to = i.dst >= 0 ? result(i) : value{};
    for (uint64_t w = i.writes & 0xffffffff; w; w &= w - 1) {
        int r = std::countr_zero(w);
        if (r != sp_number_) s_.regs[static_cast<size_t>(r)] = {};
    }
    if (i.dst < 0 || i.dst >= 32) return;
    if (i.dst != sp_number_) {
        s_.regs[static_cast<size_t>(i.dst)] = to;
        return;
    }
    sp() = to;
    if (lost()) {
        out_.dynamic = true;
    } else {
        out_.bytes = std::max(out_.bytes, to.hi);
    }
}

site& frame_scan::add_site(size_t k, site_kind kind, uint32_t symbol) {
    site& s = out_.sites.emplace_back();
    s.statement = steps_[k].statement;
    s.kind = kind;
    s.symbol = symbol;
    s.what = steps_[k].what;
    s.depth = sp().hi;
    s.exact = sp().is_stack() && sp().exact();
    if (lost()) s.depth = k_all_arguments;
    return s;
}

void frame_scan::transfer(size_t k) {
    const insn& i = steps_[k].what;
    // Steps of a few bytes, as pushes are, need no test of their own.
    bool small_step = i.what == effect::add && i.a == sp_number_ && i.imm > -64;
    if (i.dst == sp_number_ && lost() && !small_step) add_site(k, site_kind::stack_test, k_none);
    switch (i.where) {
        case flow::next:
            return;
        case flow::call:
        case flow::call_through:
            call(k);
            return;
        case flow::jump:
        case flow::branch:
            jump(k);
            break;
        case flow::jump_through:
            jump_through(k);
            break;
        case flow::stop:
            break;
    }
    if (i.where != flow::branch) reachable_ = false;
}

void frame_scan::call(size_t k) {
    const insn& i = steps_[k].what;
    uint32_t at = steps_[k].statement;
    body_depth_ = lost() ? body_depth_ : sp().hi;
    if (!lost()) landing_depth_ = std::max(landing_depth_, sp().hi - pushed_arguments_);
    out_.calls = true;
    bool copies = false;
    if (i.where == flow::call) {
        uint32_t symbol = u_.symbols.intern(i.target);
        foreign known = what_is_known(i.target);
        if (known.kind == foreign_kind::impossible)
            throw not_understood(at, std::string(known.why));
        if (known.kind == foreign_kind::opaque) out_.dynamic = true;
        copies = known.copies;
        if (known.kind == foreign_kind::sets_jump) {
            add_site(k, site_kind::after_set_jump, symbol);
        }
        if (known.kind == foreign_kind::ordinary) add_site(k, site_kind::call, symbol);
    } else if (!i.tls) {
        add_site(k, site_kind::call_through, k_none);
    }
    if (holds_sp_ && !copies && sp().is_stack() && sp().exact()) {
        // The callee is given sp as an argument: an object lies there, no arguments.
        no_arguments_at_.push_back(sp().lo);
    }
    holds_sp_ = 0;
    uint64_t clobbered = cpu_.clobbered_by_calls();
    written_ |= clobbered;
    for (uint32_t r = 0; r < 32; ++r) {
        if (clobbered >> r & 1) s_.regs[r] = {};
    }
}

void frame_scan::jump(size_t k) {
    const insn& i = steps_[k].what;
    uint32_t at = steps_[k].statement;
    uint32_t symbol = u_.symbols.intern(i.target);
    const split::symbol& to = u_.symbols[symbol];
    if (to.function != k_none && to.label != k_none) {
        const function& home = u_.functions[to.function];
        uint32_t home_root = home.parent != k_none ? home.parent : to.function;
        bool entry = to.is_entry && home.parent == k_none;
        if (!entry) {
            if (home_root != root()) throw not_understood(at, "a jump into another function");
            jump_to_label(k, symbol);
            return;
        }
    }
    foreign known = what_is_known(i.target);
    if (known.kind == foreign_kind::impossible) throw not_understood(at, std::string(known.why));
    if (known.kind != foreign_kind::ordinary) {
        if (known.kind == foreign_kind::sets_jump) {
            throw not_understood(at, "setjmp in a tail call");
        }
        return;
    }
    tail_call(k, i.where == flow::jump ? site_kind::jump : site_kind::branch, symbol);
}

void frame_scan::tail_call(size_t k, site_kind kind, uint32_t symbol) {
    site& s = add_site(k, kind, symbol);
    // The callee's stack arguments, if it has any, are where this function's own are, and may
    // have been left there untouched.
    bool by_registers = registers_only_;
    if (symbol != k_none && !by_registers) {
        const split::symbol& to = u_.symbols[symbol];
        bool local = to.binding == symbol_binding::local && to.label != k_none;
        by_registers = what_is_known(to.name).registers ||
                       takes_only_registers(to.name, cpu_.integer_arguments(), local);
    }
    if (!by_registers) {
        s.arguments = true;
        s.bytes = k_all_arguments;
        out_.arguments = k_all_arguments;
    }
}

void frame_scan::jump_to_label(size_t k, uint32_t symbol) {
    arrival& to = arrivals_[symbol];
    body_depth_ = lost() ? body_depth_ : sp().hi;
    if (!to.passed) {
        if (!to.seen) {
            to = {.seen = true, .lost = lost(), .lo = sp().lo, .hi = sp().hi};
        } else {
            to.lost |= lost();
            to.lo = std::min(to.lo, sp().lo);
            to.hi = std::max(to.hi, sp().hi);
        }
        return;
    }
    if (!to.lost && sp().is_stack() && sp().hi > to.hi) grows_in_loop(k, to);
}

// sp comes back to the loop's head lower than it was: -fstack-clash-protection does so, page by
// page. Where sp is compared with a known place the loop ends there; else nobody knows how deep.
void frame_scan::grows_in_loop(size_t k, arrival& to) {
    bool by_unwind_information =
        s_.cfa_register != sp_number_ && s_.cfa_register >= 0 && s_.cfa_register != fp_number_;
    if (compared_.is_stack() && steps_[k].what.where == flow::branch) {
        sp() = compared_;
        out_.bytes = std::max(out_.bytes, compared_.hi);
        return;
    }
    if (by_unwind_information) return;  // which says what sp is, behind the loop
    out_.dynamic = true;
    for (size_t j = to.step; j < k; ++j) {
        if (steps_[j].label || steps_[j].what.dst != sp_number_ || steps_[j].what.pushes) continue;
        add_site(j, site_kind::stack_test, k_none);
    }
    sp() = {};
    for (size_t j = to.step; j <= k; ++j) {
        const insn& i = steps_[j].what;
        if (steps_[j].label || (i.where != flow::branch && i.where != flow::jump)) continue;
        uint32_t target = u_.symbols.find(i.target);
        if (target < arrivals_.size() && !arrivals_[target].passed) arrivals_[target].lost = true;
    }
}

void frame_scan::jump_through(size_t k) {
    uint32_t at = steps_[k].statement;
    bool unmoved = lost() || sp().lo <= 0;
    // Adjusting sp for a tail call can leave it above where it was.
    switch (classify(u_, cpu_, tables_, id_, steps_, k, unmoved)) {
        case jump_class::within:
            body_depth_ = lost() ? body_depth_ : sp().hi;
            return;
        case jump_class::tail_call:
            tail_call(k, site_kind::jump_through, k_none);
            return;
        case jump_class::cannot_tell:
            out_.dynamic = true;
            if (!registers_only_) out_.arguments = k_all_arguments;
            return;
        case jump_class::impossible:
            throw not_understood(at,
                                 "neither a jump through a table of this function's labels "
                                 "nor a tail call: try -fno-jump-tables");
    }
}

void frame_scan::settle() {
    if (asm_uses_ && !asm_says_) out_.dynamic = true;
    auto local_at = [&](int64_t depth) {
        return std::ranges::find(no_arguments_at_, depth) != no_arguments_at_.end();
    };
    std::erase_if(marks_, [&](const mark& m) { return m.exact && !m.pushed && local_at(m.depth); });
    for (site& s : out_.sites) {
        if (s.kind != site_kind::call && s.kind != site_kind::call_through) continue;
        if (s.symbol != k_none) {
            const symbol& to = u_.symbols[s.symbol];
            bool local = to.binding == symbol_binding::local && to.label != k_none;
            if (what_is_known(to.name).registers ||
                takes_only_registers(to.name, cpu_.integer_arguments(), local)) {
                continue;
            }
        }
        for (const mark& m : marks_) {
            if (m.exact && s.exact && m.depth != s.depth) continue;
            s.arguments = true;
            s.bytes = s.depth < 0 ? k_all_arguments : round_up(s.depth, 16);
            break;
        }
    }
}

// In data; instructions are looked at where they are decoded.
static void refuse_pointers_to_setjmp(const unit& u) {
    if (u.text.find("setjmp") == u.text.npos) return;
    for (uint32_t i = 0; i < u.statements.size(); ++i) {
        const statement& s = u.statements[i];
        if (s.kind != statement_kind::directive || s.asm_block) continue;
        if (!same(s.op, ".quad") && !same(s.op, ".xword") && !same(s.op, ".8byte")) continue;
        if (what_is_known(leading_name(s.args)).kind == foreign_kind::sets_jump) {
            throw not_understood(i, "a pointer to setjmp: call it by its name");
        }
    }
}

std::vector<frame> scan_frames(unit& u, const cpu& c) {
    refuse_pointers_to_setjmp(u);
    std::vector<frame> frames(u.functions.size());
    std::vector<arrival> arrivals(u.symbols.size());
    label_tables tables(u);
    auto scan = [&](uint32_t id, const frame* parent) {
        frame_scan s(u, c, tables, arrivals, id, parent);
        s.decode();
        frames[id] = s.run();
    };
    // Partitions after what they are part of: their labels are reached from there.
    for (uint32_t id = 0; id < u.functions.size(); ++id) {
        if (!u.functions[id].plain && u.functions[id].parent == k_none) scan(id, nullptr);
    }
    for (uint32_t id = 0; id < u.functions.size(); ++id) {
        uint32_t parent = u.functions[id].parent;
        if (u.functions[id].plain || parent == k_none) continue;
        scan(id, &frames[parent]);
        frame& whole = frames[parent];
        const frame& part = frames[id];
        whole.bytes = std::max(whole.bytes, part.bytes);
        whole.asm_bytes = std::max(whole.asm_bytes, part.asm_bytes);
        whole.calls |= part.calls;
        whole.dynamic |= part.dynamic;
        whole.red_zone |= part.red_zone;
        if (whole.arguments != k_all_arguments) {
            whole.arguments = part.arguments == k_all_arguments
                                  ? k_all_arguments
                                  : std::max(whole.arguments, part.arguments);
        }
    }
    return frames;
}

}  // namespace split
