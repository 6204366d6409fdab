// SPDX-License-Identifier: MIT
// aarch64, as gcc and clang write it.
#include <algorithm>
#include <bit>

#include "split/cpu.h"
#include "split/text.h"

namespace split {

namespace {

constexpr int8_t k_sp = 31, k_fp = 29, k_lr = 30;
constexpr uint32_t k_marker = 0x01504952;

constexpr uint64_t bit(int r) {
    return 1ull << r;
}
// Registers first to last, both of them in it.
constexpr uint64_t bits(int first, int last) {
    return (last == 63 ? 0 : 1ull << (last + 1)) - (1ull << first);
}

struct operand {
    enum { none, reg, number, mem, other } kind = none;
    int8_t n = -1;
    uint8_t width = 0;
    int64_t value = 0;
    memory at;
    int8_t index = -1;
    bool writeback = false;  // [x, n]!
    std::string_view symbol;
    std::string_view text;
};

int8_t number_of(std::string_view s, uint8_t& width) {
    width = 8;
    if (s == "sp") return k_sp;
    if (s == "wsp") {
        width = 4;
        return k_sp;
    }
    if (s == "fp") return k_fp;
    if (s == "lr") return k_lr;
    if (s.size() < 2 || !is_digit(s[1])) return -1;
    size_t digits = 1;
    while (digits < s.size() && is_digit(s[digits])) ++digits;
    auto n = parse_number(s.substr(1, digits - 1));
    if (!n || *n > 31) return -1;
    switch (s[0]) {
        case 'x':
            return *n < 31 && digits == s.size() ? static_cast<int8_t>(*n) : int8_t{-1};
        case 'w':
            width = 4;
            return *n < 31 && digits == s.size() ? static_cast<int8_t>(*n) : int8_t{-1};
        case 'v':
        case 'q':
            width = 16;
            return static_cast<int8_t>(32 + *n);
        case 'z':
            width = 255;
            return static_cast<int8_t>(32 + *n);
        case 'd':
            return static_cast<int8_t>(32 + *n);
        case 's':
            width = 4;
            return static_cast<int8_t>(32 + *n);
        case 'h':
        case 'b':
            width = 2;
            return static_cast<int8_t>(32 + *n);
        default:
            return -1;
    }
}

// A symbol in an operand, behind the relocation that may stand before it (:lo12:f).
std::string_view symbol_in(std::string_view s) {
    if (s.starts_with('#')) s.remove_prefix(1);
    if (s.starts_with('=')) s.remove_prefix(1);
    if (s.starts_with(':')) {
        size_t end = s.find(':', 1);
        if (end == s.npos) return {};
        s.remove_prefix(end + 1);
    }
    return leading_name(trim(s));
}

std::optional<int64_t> immediate(std::string_view s) {
    if (s.starts_with('#')) s.remove_prefix(1);
    return parse_number(s);
}

operand parse(std::string_view s) {
    operand o;
    o.text = s;
    if (s.empty()) return o;
    if (s[0] == '[') {
        o.kind = operand::mem;
        o.writeback = s.ends_with('!');
        std::string_view rest = s.substr(1, s.find(']') - 1);
        uint8_t width;
        o.at.base = number_of(take_part(rest), width);
        std::string_view offset = take_part(rest);
        if (offset.empty()) return o;
        if (auto n = immediate(offset); n && rest.empty()) {
            o.at.disp = *n;
        } else if (!symbol_in(offset).empty() && offset.find(':') != offset.npos) {
            o.symbol = symbol_in(offset);
        } else {
            o.at.indexed = true;
            o.index = number_of(offset, width);
        }
        return o;
    }
    o.n = number_of(s.substr(0, s.find('.')), o.width);
    if (o.n >= 0) {
        o.kind = operand::reg;
        return o;
    }
    if (auto n = immediate(s)) {
        o.kind = operand::number;
        o.value = *n;
        return o;
    }
    o.kind = operand::other;
    bool shift = begins(s, "lsl") || begins(s, "uxt") || begins(s, "sxt") || begins(s, "asr") ||
                 begins(s, "lsr") || begins(s, "mul ") || s.starts_with('{') || s == "xzr" ||
                 s == "wzr";
    if (!shift) o.symbol = symbol_in(s);
    return o;
}

// Operations without a destination register.
bool reads_only(std::string_view op) {
    static constexpr std::string_view names[] = {
        "ccmn",    "ccmp",    "cmn",     "cmp",   "dc",   "dmb", "dsb",   "fccmp",
        "fccmpe",  "fcmp",    "fcmpe",   "hint",  "ic",   "isb", "msr",   "nop",
        "autiasp", "paciasp", "prfm",    "prfum", "sys",  "tst", "yield", "bti",
        "xpaclri", "autibsp", "pacibsp", "sb",    "csdb", "wfe", "sev",
    };
    return std::ranges::find(names, op) != std::ranges::end(names);
}

bool is_condition(std::string_view c) {
    static constexpr std::string_view names[] = {
        "eq",    "ne",   "cs",    "hs",    "cc",    "lo",    "mi",    "pl",   "vs",  "vc",
        "hi",    "ls",   "ge",    "lt",    "gt",    "le",    "al",    "nv",   "any", "none",
        "first", "last", "nfrst", "nlast", "tcont", "tstop", "pmore", "plast"};
    return std::ranges::find(names, c) != std::ranges::end(names);
}

bool is_branch(std::string_view op) {
    if (same(op, "cbz") || same(op, "cbnz") || same(op, "tbz") || same(op, "tbnz")) return true;
    if (op[0] != 'b' || op.size() < 3) return false;
    return is_condition(op.substr(op[1] == '.' ? 2 : 1)) || begins(op, "bc.");
}

// lsl 12, lsl #12: by how much; -1 for anything else.
int shift_of(const operand& o) {
    if (o.kind == operand::none) return 0;
    if (!begins(o.text, "lsl")) return -1;
    return static_cast<int>(immediate(trim(o.text.substr(3))).value_or(-1));
}

class aarch64_cpu final : public cpu {
  public:
    std::string_view triple() const override { return "aarch64-linux-gnu"; }
    char comment() const override { return '/'; }
    bool align_counts_bytes() const override { return false; }
    int8_t sp() const override { return k_sp; }
    int8_t frame_pointer() const override { return k_fp; }
    int64_t return_address_bytes() const override { return 0; }
    uint64_t argument_registers() const override { return bits(0, 7); }
    uint64_t clobbered_by_calls() const override {
        return bits(0, 18) | bit(k_lr) | bits(32, 39) | bits(48, 63);
    }
    uint64_t saved_by_callee() const override { return bits(19, 30) | bits(40, 47); }
    uint64_t meaningless_at_entry() const override { return 0; }
    int64_t stack_step() const override { return 16; }
    int64_t red_zone() const override { return 0; }
    int integer_arguments() const override { return 8; }
    uint32_t marker() const override { return k_marker; }

    int8_t register_number(std::string_view name) const override {
        name = trim(name);
        if (auto n = parse_number(name)) return *n < 32 ? static_cast<int8_t>(*n) : int8_t{-1};
        uint8_t width;
        int8_t n = number_of(name, width);
        return n < 32 ? n : int8_t{-1};
    }

    insn decode(const statement& s) const override;
    bool asm_uses_stack(const statement& s) const override;
    bool is_landing_pad(const statement& s) const override {
        return is_hint(s, 34) || is_hint(s, 38) ||
               (same(s.op, "bti") && s.args.find('c') != s.args.npos);
    }
    bool is_signing_landing_pad(const statement& s) const override {
        return same(s.op, "paciasp") || same(s.op, "pacibsp") || is_hint(s, 25) || is_hint(s, 27);
    }
    bool is_jump_landing_pad(const statement& s) const override {
        return is_hint(s, 36) || is_hint(s, 38) || same(s.op, "bti");
    }

    void put_padding(std::string& out, uint32_t base, uint32_t id, int log2,
                     int max_skip) const override;
    void put_check(std::string& out, const check& c) const override;
    void put_cold(std::string& out, const check& c) const override;
    void put_argument_bytes(std::string& out, int64_t bytes) const override {
        if (bytes < 0)
            put(out, "\tmov\tx9, -1\n");
        else
            put_number(out, "x9", bytes);
    }
    void put_call(std::string& out, const statement& s, std::string_view target) const override;
    void put_jump(std::string& out, std::string_view target) const override {
        put(out, "\tb\t", target, "\n");
    }
    void put_call_through(std::string& out, const insn& i, bool arguments, int64_t bytes,
                          std::vector<std::string>& helpers) const override;
    void put_helper(std::string& out, std::string_view name) const override;
    void put_thunk(std::string& out, std::string_view name, bool arguments, bool local,
                   int64_t need, std::vector<std::string>& helpers) const override;
    void put_fix_limit(std::string& out) const override { put(out, "\tbl\t__pirn_fixlimit\n"); }
    void put_stack_test(std::string& before, std::string& after, const unit& u, uint32_t at,
                        uint32_t begin, uint32_t end, uint32_t id) const override;

  private:
    static bool is_hint(const statement& s, int n) {
        return same(s.op, "hint") && immediate(s.args) == n;
    }
    static void put_number(std::string& out, std::string_view reg, int64_t n);
    static void put_limit(std::string& out, std::string_view reg);
    static void put_compare(std::string& out, int64_t below);
    bool control(insn& i, std::string_view op, std::string_view args) const;
    void access(insn& i, std::string_view op, const operand* o, int n) const;
    void arithmetic(insn& i, std::string_view op, const operand* o, int n) const;
    bool dead(const unit& u, uint32_t at, uint32_t end, int reg) const;
    bool unused(const unit& u, uint32_t begin, uint32_t end, int reg) const;
};

bool aarch64_cpu::control(insn& i, std::string_view op, std::string_view args) const {
    auto direct = [&](std::string_view operand, flow where) {
        i.target = leading_name(operand);
        size_t quotes = operand.starts_with('"') ? 2 : 0;
        if (i.target.empty() || i.target.size() + quotes != operand.size()) {
            throw "a call or jump to a place within a function";
        }
        i.where = where;
    };
    if (same(op, "bl")) {
        direct(args, flow::call);
        i.tls = i.target == "__tls_get_addr";
    } else if (same(op, "b")) {
        direct(args, flow::jump);
    } else if (same(op, "blr") || same(op, "br")) {
        i.through = args;
        i.where = same(op, "br") ? flow::jump_through : flow::call_through;
        uint8_t width;
        int8_t n = number_of(args, width);
        if (n < 0) throw "a call or jump through what is no register";
        i.reads = bit(n);
    } else if (begins(op, "blra") || begins(op, "bra")) {
        throw "a call or jump through an authenticated pointer is not understood";
    } else if (begins(op, "ret") || same(op, "brk") || same(op, "udf") || same(op, "hlt") ||
               same(op, "eret")) {
        i.where = flow::stop;
    } else if (is_branch(op)) {
        std::string_view part, rest = args;
        while (!rest.empty()) {
            part = take_part(rest);
            uint8_t width;
            int8_t n = number_of(part, width);
            if (n >= 0 && !rest.empty()) i.reads |= bit(n);
        }
        direct(part, flow::branch);
    } else {
        return false;
    }
    return true;
}

insn aarch64_cpu::decode(const statement& s) const {
    insn i;
    std::string_view op = s.op, args = s.args;
    if (control(i, op, args)) return i;
    operand o[6];
    int n = 0;
    while (!args.empty() && n < 6) o[n++] = parse(take_part(args));
    bool memory_operand = false;
    for (int k = 0; k < n; ++k) {
        memory_operand |= o[k].kind == operand::mem;
        if (!o[k].symbol.empty()) i.symbol = o[k].symbol;
        if (o[k].kind == operand::reg && o[k].n >= 0) i.reads |= bit(o[k].n);
    }
    if (memory_operand) {
        access(i, op, o, n);
        return i;
    }
    if (reads_only(op)) {
        bool compares = same(op, "cmp") && n == 2 && o[0].kind == operand::reg &&
                        o[1].kind == operand::reg && (o[0].n == k_sp || o[1].n == k_sp);
        if (compares) i.compared_with_sp = o[0].n == k_sp ? o[1].n : o[0].n;
        return i;
    }
    if (n > 0 && o[0].kind == operand::reg) {
        i.writes = bit(o[0].n);
        bool also_source = same(op, "movk") || begins(op, "bf") || same(op, "ins") ||
                           begins(op, "ml") || begins(op, "fml") || o[0].n >= 32;
        bool named_again = false;
        for (int k = 1; k < n; ++k) named_again |= o[k].kind == operand::reg && o[k].n == o[0].n;
        if (!also_source && !named_again) i.reads &= ~bit(o[0].n);
        arithmetic(i, op, o, n);
    }
    return i;
}

void aarch64_cpu::arithmetic(insn& i, std::string_view op, const operand* o, int n) const {
    const operand& to = o[0];
    bool wide = to.width == 8 && to.n < 32;
    bool known = false;
    if ((same(op, "add") || same(op, "sub") || same(op, "adds") || same(op, "subs")) && n >= 3) {
        bool sub = op[0] == 's';
        int shift = shift_of(o[3]);
        if (wide && o[1].kind == operand::reg && shift >= 0) {
            if (o[2].kind == operand::number) {
                int64_t v = o[2].value << shift;
                i.what = effect::add;
                i.a = o[1].n;
                i.imm = sub ? -v : v;
            } else if (o[2].kind == operand::reg && shift == 0) {
                i.what = sub ? effect::sub_register : effect::add_register;
                i.a = o[1].n;
                i.b = o[2].n;
            }
        }
        known = o[1].kind == operand::reg;
    } else if ((same(op, "addvl") || same(op, "addpl")) && n == 3 && o[2].kind == operand::number) {
        i.what = effect::add_vectors;
        i.a = o[1].n;
        i.imm = o[2].value * (same(op, "addvl") ? 16 : 2);
        known = true;
    } else if (same(op, "mov") && n == 2 && o[1].kind == operand::reg) {
        if (wide && o[1].width == 8 && o[1].n < 32) {
            i.what = effect::add;
            i.a = o[1].n;
        }
        known = wide;
    } else if ((same(op, "mov") || same(op, "movz") || same(op, "movn")) && n >= 2 &&
               o[1].kind == operand::number) {
        int shift = shift_of(o[2]);
        if (shift >= 0 && to.n < 32) {
            i.what = effect::constant;
            i.imm = o[1].value << shift;
            if (same(op, "movn")) i.imm = ~i.imm;
            if (!wide) i.imm = static_cast<int64_t>(static_cast<uint32_t>(i.imm));
        }
    } else if (same(op, "movk") && n >= 2 && o[1].kind == operand::number) {
        int shift = shift_of(o[2]);
        if (shift >= 0) {
            i.what = effect::insert;
            i.a = to.n;
            i.b = static_cast<int8_t>(shift);
            i.imm = o[1].value;
        }
    } else if (same(op, "and") && n == 3 && o[1].kind == operand::reg) {
        if (wide && o[2].kind == operand::number) {
            i.what = effect::align;
            i.a = o[1].n;
            i.imm = o[2].value;
        }
        known = true;
    }
    if (to.n == k_sp && (!known || !wide)) {
        throw "a write to the stack pointer that is not understood";
    }
    if (to.n < 32) i.dst = to.n;
}

// Loads and stores: registers, one memory operand, and a number or register behind it.
void aarch64_cpu::access(insn& i, std::string_view op, const operand* o, int n) const {
    bool prefetch = begins(op, "prf");
    bool store = begins(op, "st");
    bool atomic = begins(op, "cas") || begins(op, "swp") || begins(op, "ldadd") ||
                  begins(op, "ldclr") || begins(op, "ldset") || begins(op, "ldeor") ||
                  begins(op, "ldsm") || begins(op, "ldum");
    bool exclusive = begins(op, "stx") || begins(op, "stlx");
    int at = 0;
    while (at < n && o[at].kind != operand::mem) ++at;
    memory m = o[at].at;
    int size = 0;
    uint64_t named = 0;
    for (int k = 0; k < at; ++k) {
        size += o[k].kind == operand::reg ? o[k].width : 8;
        if (o[k].text.starts_with('{')) size += 64;
        if (o[k].kind == operand::reg) named |= bit(o[k].n);
    }
    m.size = static_cast<uint8_t>(std::min(size, 255));
    m.write = store || atomic;
    if (prefetch) return;
    if (store) {
        i.stored = named;
        if (exclusive && o[0].kind == operand::reg) i.writes = bit(o[0].n);
    } else {
        i.writes = named;
        if (!atomic) i.reads &= ~named;
    }
    if (m.base >= 0) i.reads |= bit(m.base);
    if (o[at].index >= 0) i.reads |= bit(o[at].index);
    if (same(op, "str") && o[0].text == "xzr" && m.base == k_sp) i.probe = m.disp != 0;
    bool post = at + 1 < n;
    if ((o[at].writeback || post) && m.base >= 0) {
        int64_t step = o[at].writeback ? m.disp : o[at + 1].value;
        bool known = o[at].writeback || o[at + 1].kind == operand::number;
        if (post) m.disp = 0;
        if (!known && m.base == k_sp) {
            throw "a write to the stack pointer that is not understood";
        }
        i.dst = m.base;
        i.writes |= bit(m.base);
        if (known) {
            i.what = effect::add;
            i.a = m.base;
            i.imm = step;
        }
    }
    i.memories = 1;
    i.memory_at[0] = m;
}

bool aarch64_cpu::asm_uses_stack(const statement& s) const {
    if (same(s.op, "bl") || begins(s.op, "blr") || same(s.op, "svc") || begins(s.op, "br") ||
        begins(s.op, "ret") || same(s.op, "hvc")) {
        return !same(s.op, "brk");
    }
    // Within the assembly, or to a label of the function (asm goto).
    return same(s.op, "b") && !begins(s.args, ".L") && !(s.args.empty() || is_digit(s.args[0]));
}

void aarch64_cpu::put_padding(std::string& out, uint32_t base, uint32_t id, int log2,
                              int max_skip) const {
    put_gap(out, base, id, log2, max_skip, "0");
}

void aarch64_cpu::put_number(std::string& out, std::string_view reg, int64_t n) {
    put(out, "\tmov\t", reg, ", ", n & 0xffff, "\n");
    for (int shift = 16; shift < 64; shift += 16) {
        if (int64_t part = n >> shift & 0xffff) {
            put(out, "\tmovk\t", reg, ", ", part, ", lsl ", shift, "\n");
        }
    }
}

void aarch64_cpu::put_limit(std::string& out, std::string_view reg) {
    put(out, "\tmrs\t", reg, ", tpidr_el0\n\tldr\t", reg, ", [", reg, ", 8]\n");
}

// Compares sp - below (or a little less) with the limit in x16.
void aarch64_cpu::put_compare(std::string& out, int64_t below) {
    if (below == 0) {
        put(out, "\tcmp\tsp, x16\n");
        return;
    }
    if (below <= 4095) {
        put(out, "\tsub\tx17, sp, #", below, "\n");
    } else if (int64_t pages = (below + 4095) >> 12; pages <= 4095) {
        put(out, "\tsub\tx17, sp, #", pages, ", lsl 12\n");
    } else {
        put_number(out, "x17", below);
        put(out, "\tsub\tx17, sp, x17\n");
    }
    put(out, "\tcmp\tx17, x16\n");
}

void aarch64_cpu::put_check(std::string& out, const check& c) const {
    if (c.landing_pads && c.body_lands) put(out, "\thint\t34\n");
    put_limit(out, "x16");
    if (hop_at_every_check) {
        put(out, "\tcbnz\tx16, .Lpirn_m", c.id, "\n");
    } else {
        put_compare(out, c.need <= k_small_frame ? 0 : c.need);
        put(out, "\tb.lo\t.Lpirn_m", c.id, "\n");
    }
    put(out, ".Lpirn_b", c.id, ":\n");
}

void aarch64_cpu::put_cold(std::string& out, const check& c) const {
    bool stub = c.landing_pads && !c.body_lands;
    put(out, ".Lpirn_m", c.id, ":\n\tstp\tx9, x10, [sp, -16]!\n");
    if (c.has_cfi) put(out, "\t.cfi_def_cfa_offset 16\n");
    put(out, "\tadr\tx10, .Lpirn_", stub ? 'r' : 'b', c.id, "\n");
    if (c.need <= k_short_hop && c.arguments == 0) {
        put(out, "\tb\t__pirn_morestack0\n");
    } else if (c.need <= k_short_hop && c.arguments == k_all_arguments) {
        put(out, "\tb\t__pirn_morestacka\n");
    } else {
        int64_t words = c.arguments == k_all_arguments ? 0xffff : (c.arguments + 15) / 16;
        put_number(out, "x9", (c.need + 15) / 16 | std::min<int64_t>(words, 0xffff) << 32);
        put(out, "\tb\t__pirn_morestack\n");
    }
    if (stub) put(out, ".Lpirn_r", c.id, ":\n\thint\t34\n\tb\t.Lpirn_b", c.id, "\n");
}

void aarch64_cpu::put_call(std::string& out, const statement& s, std::string_view target) const {
    put(out, "\t", s.op, "\t");
    std::string_view rest = s.args;
    while (rest.find(',') != rest.npos) put(out, take_part(rest), ", ");
    put(out, target, "\n");
}

void aarch64_cpu::put_call_through(std::string& out, const insn& i, bool arguments, int64_t bytes,
                                   std::vector<std::string>& helpers) const {
    std::string_view reg = i.through;
    if (reg == "x30" || reg == "lr") {  // which the call changes
        put(out, "\tmov\tx16, x30\n");
        reg = "x16";
    }
    if (arguments) {
        if (reg == "x9") {
            put(out, "\tmov\tx10, x9\n");
            reg = "x10";
        }
        put_argument_bytes(out, bytes);
    }
    std::string helper = arguments ? "__pirn_icalla_" : "__pirn_icall_";
    helper += reg;
    put(out, i.where == flow::jump_through ? "\tb\t" : "\tbl\t", helper, "\n");
    helpers.push_back(helper);
}

// __pirn_icall_xN: calls what xN points to. __pirn_fcall: calls what x10 points to, which is known
// to be foreign; the common part of the thunks. With an `a`, x9 says where stack arguments may lie.
void aarch64_cpu::put_helper(std::string& out, std::string_view name) const {
    bool direct = begins(name, "__pirn_fcall");
    bool arguments = begins(name, "__pirn_icalla_") || name == "__pirn_fcalla";
    std::string_view reg = direct ? "x10" : name.substr(name.rfind('_') + 1);
    put(out, "\t.section\t.text.", name, ",\"axG\",@progbits,", name, ",comdat\n\t.p2align\t4\n",
        "\t.weak\t", name, "\n\t.hidden\t", name, "\n\t.type\t", name, ", %function\n", name,
        ":\n");
    if (reg != "x16") put(out, "\tmov\tx16, ", reg, "\n");
    if (!direct) {
        // The marker word stands before the entry. What begins a page has none: there may be
        // nothing before it.
        put(out, "\ttst\tx16, 4095\n\tb.eq\t1f\n\tldur\tw17, [x16, -4]\n\tsub\tw17, w17, #",
            k_marker >> 12 & 0xfff, ", lsl 12\n\tsub\tw17, w17, #", k_marker & 0xfff,
            "\n\teor\tw17, w17, #", k_marker & 0xff000000, "\n\tcbnz\tw17, 1f\n\tbr\tx16\n1:\n");
    }
    put_limit(out, "x17");
    if (hop_at_every_check) {
        put(out, "\tcbnz\tx17, 2f\n");
    } else {
        put(out, "\tadd\tx17, x17, #", k_foreign_need >> 12,
            ", lsl 12\n\tcmp\tsp, x17\n\tb.lo\t2f\n");
    }
    put(out, "\tbr\tx16\n2:");
    if (!direct) put(out, "\tmov\tx10, x16\n");
    put(out, "\tb\t", arguments ? "__pirn_foreign" : "__pirn_foreign0", "\n\t.size\t", name, ", .-",
        name, "\n");
}

void aarch64_cpu::put_thunk(std::string& out, std::string_view name, bool arguments, bool local,
                            int64_t need, std::vector<std::string>& helpers) const {
    std::string target = spelled("", name);
    bool direct = need < k_foreign_need;
    if (direct) {
        put_limit(out, "x16");
        if (hop_at_every_check) {
            put(out, "\tcbnz\tx16, 1f\n");
        } else {
            put_compare(out, std::max<int64_t>(0, need - k_free_need));
            put(out, "\tb.lo\t1f\n");
        }
        put(out, "\tb\t", target, "\n1:");
    }
    std::string helper = arguments ? "__pirn_fcalla" : "__pirn_fcall";
    std::string_view foreign = arguments ? "__pirn_foreign" : "__pirn_foreign0";
    // The table of addresses has no entries for parts of a section, which local names are.
    if (local)
        put(out, "\tadrp\tx10, ", target, "\n\tadd\tx10, x10, :lo12:", target, "\n");
    else
        put(out, "\tadrp\tx10, :got:", target, "\n\tldr\tx10, [x10, :got_lo12:", target, "]\n");
    put(out, "\tb\t", direct ? foreign : std::string_view(helper), "\n");
    if (!direct) helpers.push_back(helper);
}

// Whether nobody reads the register from statement `at` on before it is written.
bool aarch64_cpu::dead(const unit& u, uint32_t at, uint32_t end, int reg) const {
    for (uint32_t k = at; k < end; ++k) {
        const statement& s = u.statements[k];
        if (s.kind == statement_kind::blank || s.kind == statement_kind::directive) continue;
        if (s.kind == statement_kind::label || s.asm_block) return false;
        insn i = decode(s);
        if (i.reads & bit(reg)) return false;
        if (i.writes & bit(reg)) return true;
        if (i.where == flow::call || i.where == flow::call_through) return reg == 16 || reg == 17;
        if (i.where != flow::next) return i.where == flow::stop;
    }
    return false;
}

// Whether no instruction of the function reads it.
bool aarch64_cpu::unused(const unit& u, uint32_t begin, uint32_t end, int reg) const {
    for (uint32_t k = begin; k < end; ++k) {
        const statement& s = u.statements[k];
        if (s.section != u.statements[begin].section) continue;
        if (s.asm_block && s.kind != statement_kind::blank) return false;
        if (s.kind != statement_kind::instruction) continue;
        if (decode(s).reads & bit(reg)) return false;
    }
    return true;
}

// Without flags, which may be in use, and in registers that are not.
void aarch64_cpu::put_stack_test(std::string&, std::string& out, const unit& u, uint32_t at,
                                 uint32_t begin, uint32_t end, uint32_t id) const {
    static constexpr std::string_view names[] = {"x16", "x17", "x15", "x14", "x13",
                                                 "x12", "x11", "x10", "x9"};
    static constexpr int numbers[] = {16, 17, 15, 14, 13, 12, 11, 10, 9};
    std::string_view free[2];
    int found = 0;
    for (size_t k = 0; k < std::size(numbers) && found < 2; ++k) {
        int n = numbers[k];
        // What local functions keep is no concern of x16 and x17, which any call may change.
        if (dead(u, at + 1, end, n) || (n >= 16 && unused(u, begin, end, n))) {
            free[found++] = names[k];
        }
    }
    bool save = found < 2;
    if (save) {
        put(out, "\tstp\tx16, x17, [sp, -16]!\n");
        free[0] = "x16";
        free[1] = "x17";
    }
    put_limit(out, free[0]);
    put(out, "\tmov\t", free[1], ", sp\n\tsub\t", free[1], ", ", free[1], ", ", free[0],
        "\n\ttbz\t", free[1], ", 63, .Lpirn_t", id, "\n\tb\t__pirn_alloca_overflow\n.Lpirn_t", id,
        ":\n");
    if (save) put(out, "\tldp\tx16, x17, [sp], 16\n");
}

}  // namespace

const cpu& aarch64() {
    static const aarch64_cpu the;
    return the;
}

}  // namespace split
