// SPDX-License-Identifier: MIT
// x86-64, as gcc and clang write it: AT&T syntax.
#include "split/cpu.h"

#include <algorithm>
#include <bit>

#include "split/text.h"

namespace split {

namespace {

enum reg : int8_t { rax, rdx, rcx, rbx, rsi, rdi, rbp, rsp, r8, r9, r10, r11 };

constexpr uint64_t bit(int r) {
    return 1ull << r;
}
// What instructions may change without naming it.
constexpr uint64_t k_implicit =
    bit(rax) | bit(rdx) | bit(rcx) | bit(rbx) | bit(rsi) | bit(rdi) | bit(r11);
constexpr uint32_t k_marker = 0x504952a5;

struct operand {
    enum { none, immediate, reg, mem } kind = none;
    int8_t number = -1;
    uint8_t width = 0;  // of a register, in bytes
    int64_t imm = 0;
    bool known = false;  // the immediate is a number
    memory at;
    bool plain_address = false;  // memory: a base and a number, nothing else
    bool rip = false;
    std::string_view symbol;
};

// The number of a register that is named without its %; -1 if it is none that matters.
int8_t number_of(std::string_view n, uint8_t& width) {
    width = 8;
    if (n.size() < 2) return -1;
    if (begins(n, "xmm") || begins(n, "ymm") || begins(n, "zmm")) {
        width = n[0] == 'x' ? 16 : n[0] == 'y' ? 32 : 64;
        auto at = parse_number(n.substr(3));
        return at ? static_cast<int8_t>(32 + *at) : int8_t{-1};
    }
    if (n[0] == 'r' && is_digit(n[1])) {
        char last = n.back();
        if (last == 'd' || last == 'w' || last == 'b') {
            width = last == 'd' ? 4 : last == 'w' ? 2 : 1;
            n.remove_suffix(1);
        }
        auto at = parse_number(n.substr(1));
        return at && *at < 32 ? static_cast<int8_t>(*at) : int8_t{-1};
    }
    if (n.size() == 3 && (n[0] == 'r' || n[0] == 'e')) {
        width = n[0] == 'r' ? 8 : 4;
        n.remove_prefix(1);
    } else if (n.size() == 3 && n[2] == 'l') {  // sil, dil, bpl, spl
        width = 1;
        n.remove_suffix(1);
    } else if (n.size() == 2) {
        width = 2;
    }
    if (n.size() != 2) return -1;
    static constexpr std::string_view names[] = {"ax", "dx", "cx", "bx", "si", "di", "bp", "sp"};
    for (int8_t i = 0; i < 8; ++i) {
        if (n == names[i]) return i;
    }
    if (n[1] == 'l' || n[1] == 'h') {
        width = 1;
        switch (n[0]) {
            case 'a':
                return rax;
            case 'd':
                return rdx;
            case 'c':
                return rcx;
            case 'b':
                return rbx;
            default:
                return -1;
        }
    }
    return -1;
}

operand parse(std::string_view s) {
    operand o;
    if (s.empty()) return o;
    if (s[0] == '$') {
        o.kind = operand::immediate;
        if (auto n = parse_number(s.substr(1))) {
            o.known = true;
            o.imm = *n;
        } else {
            o.symbol = leading_name(s.substr(1));
        }
        return o;
    }
    if (s[0] == '%' && s.find(':') == s.npos) {
        o.kind = operand::reg;
        std::string_view name = s.substr(1);
        // AVX-512 decorates registers with masks: %zmm0{%k1}{z}
        name = trim(name.substr(0, name.find_first_of("{(")));
        o.number = number_of(name, o.width);
        return o;
    }
    o.kind = operand::mem;
    bool segment = s[0] == '%';
    if (segment) s.remove_prefix(s.find(':') + 1);
    size_t paren = s.rfind('(');
    std::string_view disp = trim(s.substr(0, paren));
    bool number = disp.empty();
    if (!number) {
        if (auto n = parse_number(disp)) {
            o.at.disp = *n;
            number = true;
        } else {
            o.symbol = leading_name(disp);
        }
    }
    std::string_view rest = paren == s.npos ? std::string_view{} : s.substr(paren + 1);
    rest = rest.substr(0, rest.find(')'));
    std::string_view base = take_part(rest), index = take_part(rest);
    uint8_t width;
    if (same(base, "%rip") || same(base, "%eip")) {
        o.rip = true;
    } else if (base.starts_with('%')) {
        o.at.base = number_of(base.substr(1), width);
    }
    if (index.starts_with('%')) {
        o.at.indexed = true;
        o.number = number_of(index.substr(1), width);
    }
    o.plain_address = !segment && number && !o.rip && !o.at.indexed && o.at.base >= 0;
    return o;
}

// Operations that change no operand.
bool reads_only(std::string_view op) {
    return begins(op, "cmp")
               ? !begins(op, "cmpxchg")
               : begins(op, "test") || same(op, "bt") || same(op, "btl") || same(op, "btq") ||
                     same(op, "btw") || begins(op, "ucomis") || begins(op, "comis") ||
                     begins(op, "vucomis") || begins(op, "vcomis") || begins(op, "ptest") ||
                     begins(op, "vptest") || begins(op, "vtest") || begins(op, "prefetch") ||
                     begins(op, "nop") || begins(op, "clflush") || same(op, "clwb") ||
                     same(op, "ldmxcsr") || begins(op, "fld") || begins(op, "fild") ||
                     begins(op, "push");
}

template <size_t N>
bool is(std::string_view op, const char (&stem)[N]) {
    return begins(op, stem) &&
           (op.size() == N - 1 || (op.size() == N && (op.back() == 'q' || op.back() == 'l')));
}

// Operations that change their last operand and nothing else.
bool one_destination(std::string_view op) {
    if (is(op, "mul") || is(op, "div") || begins(op, "mulx") || begins(op, "sahf") ||
        op.find("cmpestr") != op.npos || op.find("cmpistr") != op.npos) {
        return false;
    }
    switch (op[0]) {
        case 'a':
            return begins(op, "add") || begins(op, "and") || begins(op, "adc");
        case 'b':
            return begins(op, "bs") || begins(op, "bt") || begins(op, "bl") || begins(op, "bextr");
        case 'c':
            return begins(op, "cmov") || begins(op, "cvt");
        case 'd':
            return begins(op, "dec") || begins(op, "div");
        case 'i':
            return begins(op, "inc") || begins(op, "imul") || begins(op, "insert");
        case 'l':
            return begins(op, "lea") || begins(op, "lzcnt");
        case 'm':
            return begins(op, "mov") || begins(op, "mul") || begins(op, "max") || begins(op, "min");
        case 'n':
            return begins(op, "not") || begins(op, "neg");
        case 'o':
            return begins(op, "or");
        case 'p':
            return true;
        case 'r':
            return begins(op, "ro") || begins(op, "rc") || begins(op, "rsqrt");
        case 's':
            return begins(op, "sub") || begins(op, "sh") || begins(op, "sa") || begins(op, "set") ||
                   begins(op, "sbb") || begins(op, "sqrt");
        case 't':
            return begins(op, "tzcnt");
        case 'u':
            return begins(op, "unpck");
        case 'v':
        case 'x':
            return !begins(op, "xchg") && !begins(op, "xadd");
        default:
            return false;
    }
}

bool is_prefix(std::string_view op) {
    // Most are moves.
    return op[0] != 'm' &&
           (same(op, "lock") || same(op, "rep") || same(op, "repz") || same(op, "repe") ||
            same(op, "repnz") || same(op, "repne") || same(op, "notrack") || same(op, "bnd") ||
            same(op, "data16") || same(op, "rex64") || same(op, "rex.W") || same(op, "xacquire") ||
            same(op, "xrelease") || same(op, "cs") || same(op, "ds") || same(op, "addr32"));
}

class x86_64_cpu final : public cpu {
  public:
    std::string_view triple() const override { return "x86_64-linux-gnu"; }
    char comment() const override { return '#'; }
    bool align_counts_bytes() const override { return true; }
    int8_t sp() const override { return rsp; }
    int8_t frame_pointer() const override { return rbp; }
    int64_t return_address_bytes() const override { return 8; }
    uint64_t argument_registers() const override {
        return bit(rdi) | bit(rsi) | bit(rdx) | bit(rcx) | bit(r8) | bit(r9);
    }
    uint64_t clobbered_by_calls() const override {
        return argument_registers() | bit(rax) | bit(r10) | bit(r11) | 0x3full << 32;
    }
    // With the vector registers that functions of the ms_abi save.
    uint64_t saved_by_callee() const override {
        return bit(rbx) | bit(rbp) | 0xf000 | 0xffc0ull << 32;
    }
    uint64_t meaningless_at_entry() const override { return bit(rax) | bit(r11); }
    int64_t stack_step() const override { return 8; }
    int64_t red_zone() const override { return 128; }
    int integer_arguments() const override { return 6; }
    uint32_t marker() const override { return k_marker; }

    int8_t register_number(std::string_view name) const override {
        name = trim(name);
        if (auto n = parse_number(name)) return *n < 16 ? static_cast<int8_t>(*n) : int8_t{-1};
        if (name.starts_with('%')) name.remove_prefix(1);
        uint8_t width;
        return number_of(name, width);
    }

    insn decode(const statement& s) const override;
    bool asm_uses_stack(const statement& s) const override;
    bool is_landing_pad(const statement& s) const override { return same(s.op, "endbr64"); }
    bool is_signing_landing_pad(const statement&) const override { return false; }
    bool is_jump_landing_pad(const statement& s) const override { return same(s.op, "endbr64"); }

    void put_padding(std::string& out, uint32_t base, uint32_t id, int log2,
                     int max_skip) const override;
    void put_check(std::string& out, const check& c) const override;
    void put_cold(std::string& out, const check& c) const override;
    void put_argument_bytes(std::string& out, int64_t bytes) const override {
        put(out, "\tmovl\t$", bytes, ", %r10d\n");
    }
    void put_call(std::string& out, const statement& s, std::string_view target) const override;
    void put_jump(std::string& out, std::string_view target) const override {
        put(out, "\tjmp\t", target, "\n");
    }
    void put_call_through(std::string& out, const insn& i, bool arguments, int64_t bytes,
                          std::vector<std::string>& helpers) const override;
    void put_helper(std::string& out, std::string_view name) const override;
    void put_thunk(std::string& out, std::string_view name, bool arguments, bool local,
                   int64_t need, std::vector<std::string>& helpers) const override;
    void put_fix_limit(std::string& out) const override { put(out, "\tcall\t__pirn_fixlimit\n"); }
    void put_stack_test(std::string& before, std::string& after, const unit& u, uint32_t at,
                        uint32_t begin, uint32_t end, uint32_t id) const override;

  private:
    void control(insn& i, std::string_view op, std::string_view args) const;
    void data(insn& i, std::string_view op, std::string_view args) const;
    void destination(insn& i, std::string_view op, const operand* o, int n) const;
};

// The symbol that an operand of a call or jump names directly: f, f@PLT, *f@GOTPCREL(%rip).
std::string_view direct_target(std::string_view args) {
    if (args.starts_with('*')) {
        size_t got = args.find("@GOTPCREL(%rip)");
        if (got == args.npos) return {};
        return leading_name(args.substr(1));
    }
    return leading_name(args);
}

void x86_64_cpu::control(insn& i, std::string_view op, std::string_view args) const {
    bool call = op[0] == 'c';
    bool jump = same(op, "jmp") || same(op, "jmpq");
    i.target = direct_target(args);
    if (args.find("@TLSCALL") != args.npos || args.find("@tlscall") != args.npos) {
        i.tls = true;
        i.target = {};
        i.where = flow::call_through;
        return;
    }
    if (!i.target.empty()) {
        // Anything after the name but its way through the PLT or GOT is not understood.
        std::string_view rest = args.substr(args[0] == '*');
        rest.remove_prefix(i.target.size() + (rest[0] == '"' ? 2 : 0));
        if (!rest.empty() && rest[0] != '@') throw "a call or jump to a place within a function";
        i.where = call ? flow::call : jump ? flow::jump : flow::branch;
        return;
    }
    if (!args.starts_with('*')) throw "a call or jump to what is no symbol";
    i.through = args.substr(1);
    operand o = parse(i.through);
    if (o.kind == operand::mem) {
        i.memories = 1;
        i.memory_at[0] = o.at;
        if (o.at.base >= 0) i.reads |= bit(o.at.base);
        if (o.at.indexed && o.number >= 0) i.reads |= bit(o.number);
        i.symbol = o.symbol;
    } else if (o.number >= 0) {
        i.reads |= bit(o.number);
    }
    i.where = call ? flow::call_through : flow::jump_through;
}

insn x86_64_cpu::decode(const statement& s) const {
    insn i;
    std::string_view op = s.op, args = s.args;
    bool rep = false;
    while (is_prefix(op)) {
        if (args.empty()) {
            i.prefix = true;
            return i;
        }
        rep |= begins(op, "rep");
        op = take_word(args);
    }
    if (is(op, "call") || same(op, "jmp") || same(op, "jmpq")) {
        control(i, op, args);
        i.tls |= i.target == "__tls_get_addr";
    } else if (op[0] == 'j' && args.find('%') == args.npos) {
        control(i, op, args);
    } else if (is(op, "ret") || same(op, "ud2") || same(op, "hlt") || same(op, "iretq")) {
        i.where = flow::stop;
    } else if (is(op, "leave")) {
        i.restores_frame = true;
        i.writes = bit(rbp) | bit(rsp);
        i.dst = rsp;
        i.what = effect::none;
    } else if (is(op, "enter")) {
        throw "a write to the stack pointer that is not understood";
    } else {
        data(i, op, args);
        if (rep) i.writes |= bit(rcx) | bit(rdi) | bit(rsi);
    }
    return i;
}

void x86_64_cpu::data(insn& i, std::string_view op, std::string_view args) const {
    operand o[5];
    int n = 0;
    bool strings = args.find("%es:") != args.npos;
    while (!args.empty() && n < 5) o[n++] = parse(take_part(args));
    uint8_t size = 8;
    for (int k = 0; k < n; ++k)
        size = std::max(size, o[k].kind == operand::reg ? o[k].width : size);
    if (begins(op, "fld") || begins(op, "fst") || same(op, "cmpxchg16b")) size = 16;
    bool string_op = strings || n == 0 || (n == 1 && is(op, "imul"));
    bool changes = !reads_only(op) || string_op;
    bool single = one_destination(op) && !string_op;
    bool pop = is(op, "pop");
    if (n == 0 && (begins(op, "nop") || same(op, "vzeroupper") || same(op, "pause"))) return;
    for (int k = 0; k < n; ++k) {
        bool last = k == n - 1;
        if (o[k].kind == operand::reg && o[k].number >= 0) {
            bool written = changes && (last || !single);
            // A destination is also a source, but for moves.
            bool read = !last || !(begins(op, "mov") || begins(op, "lea") || pop);
            if (written) i.writes |= bit(o[k].number);
            if (read) i.reads |= bit(o[k].number);
        } else if (o[k].kind == operand::mem) {
            o[k].at.write = changes && (last || !single) && !begins(op, "lea");
            o[k].at.address_only = begins(op, "lea");
            o[k].at.size = size;
            if (o[k].at.base >= 0) i.reads |= bit(o[k].at.base);
            if (o[k].at.indexed && o[k].number >= 0) i.reads |= bit(o[k].number);
            if (i.memories < 2) i.memory_at[i.memories++] = o[k].at;
        }
        if (!o[k].symbol.empty()) i.symbol = o[k].symbol;
    }
    if (changes && !single && !pop) i.writes |= k_implicit;
    if (n > 0 && o[n - 1].kind == operand::mem && n > 1) {
        for (int k = 0; k < n - 1; ++k) {
            if (o[k].kind == operand::reg && o[k].number >= 0) i.stored |= bit(o[k].number);
        }
    }
    // What only probes the page that sp is in.
    if ((is(op, "or") || is(op, "test")) && o[0].kind == operand::immediate && o[0].imm == 0) {
        i.probe = true;
    }
    destination(i, op, o, n);
}

void x86_64_cpu::destination(insn& i, std::string_view op, const operand* o, int n) const {
    const operand& to = o[n > 0 ? n - 1 : 0];
    bool to_sp = to.kind == operand::reg && to.number == rsp && (i.writes & bit(rsp));
    if (is(op, "push") && n == 1) {
        i.pushes = true;
        i.dst = i.a = rsp;
        i.what = effect::add;
        i.imm = -8;
        i.writes = bit(rsp);
        i.stored = to.kind == operand::reg && to.number >= 0 ? bit(to.number) : 0;
        return;
    }
    if (is(op, "pop") && n == 1) {
        if (to_sp) throw "a write to the stack pointer that is not understood";
        i.dst = i.a = rsp;
        i.what = effect::add;
        i.imm = 8;
        i.writes |= bit(rsp);
        // Names where it comes from: the word at sp.
        if (to.kind == operand::reg) {
            i.memories = 1;
            i.memory_at[0] = {};
            i.memory_at[0].base = rsp;
        }
        return;
    }
    if (begins(op, "pushf") || begins(op, "popf")) {
        i.dst = i.a = rsp;
        i.what = effect::add;
        i.imm = begins(op, "pushf") ? -8 : 8;
        i.pushes = i.imm < 0;
        i.writes = bit(rsp);
        return;
    }
    if (n == 2 && is(op, "cmp") && (o[0].number == rsp || o[1].number == rsp) &&
        o[0].kind == operand::reg && o[1].kind == operand::reg) {
        i.compared_with_sp = o[0].number == rsp ? o[1].number : o[0].number;
        return;
    }
    if (n != 2 || to.kind != operand::reg || to.number < 0 || to.number >= 32) {
        if (i.writes & bit(rsp)) throw "a write to the stack pointer that is not understood";
        return;
    }
    const operand& from = o[0];
    bool immediate = from.kind == operand::immediate && from.known;
    bool wide = to.width == 8;
    i.dst = to.number;
    if (to_sp && immediate && from.imm == 0 && (same(op, "movb") || same(op, "movw"))) {
        // How gcc writes an alignment of sp to 256 bytes, or to 64 KB.
        i.what = effect::align;
        i.a = rsp;
        i.imm = same(op, "movb") ? -256 : -65536;
        return;
    }
    if (is(op, "mov") || same(op, "movabsq") || same(op, "movabs")) {
        if (immediate && to.width >= 4) {
            i.what = effect::constant;
            i.imm = wide ? from.imm : static_cast<int64_t>(static_cast<uint32_t>(from.imm));
        } else if (from.kind == operand::reg && wide && from.number >= 0) {
            i.what = effect::add;
            i.a = from.number;
        } else if (to_sp && !wide) {
            throw "a write to the stack pointer that is not understood";
        }
    } else if (is(op, "lea")) {
        if (wide && from.plain_address) {
            i.what = effect::add;
            i.a = from.at.base;
            i.imm = from.at.disp;
            i.memories = 0;
        }
    } else if (is(op, "add") || is(op, "sub")) {
        bool sub = op[0] == 's';
        i.a = to.number;
        if (immediate && wide) {
            i.what = effect::add;
            i.imm = sub ? -from.imm : from.imm;
        } else if (from.kind == operand::reg && wide && from.number >= 0) {
            i.what = sub ? effect::sub_register : effect::add_register;
            i.b = from.number;
        }
    } else if (is(op, "and")) {
        if (immediate && wide) {
            i.what = effect::align;
            i.a = to.number;
            i.imm = from.imm;
        }
    } else if (to_sp) {
        throw "a write to the stack pointer that is not understood";
    }
    if (to_sp && !wide) throw "a write to the stack pointer that is not understood";
    if (!(i.writes & bit(to.number))) {
        i.dst = -1;
        i.what = effect::none;
    }
}

bool x86_64_cpu::asm_uses_stack(const statement& s) const {
    std::string_view op = s.op, args = s.args;
    while (is_prefix(op) && !args.empty()) op = take_word(args);
    if (is(op, "call") || begins(op, "push") || begins(op, "pop") || is(op, "ret") ||
        same(op, "syscall") || same(op, "sysenter") || is(op, "int") || is(op, "enter") ||
        is(op, "leave")) {
        return true;
    }
    if (same(op, "jmp") || same(op, "jmpq")) {
        // Within the assembly, or to a label of the function (asm goto).
        return !begins(args, ".L") && !(is_digit(args.empty() ? ' ' : args[0]));
    }
    return false;
}

void x86_64_cpu::put_padding(std::string& out, uint32_t base, uint32_t id, int log2,
                             int max_skip) const {
    put_gap(out, base, id, log2, max_skip, "0x90");
}

void x86_64_cpu::put_check(std::string& out, const check& c) const {
    if (hop_at_every_check) {
        put(out, "\tcmpq\t$0, %fs:0x70\n\tjne\t.Lpirn_m", c.id, "\n.Lpirn_b", c.id, ":\n");
        return;
    }
    bool small = c.need <= k_small_frame;
    if (!small) put(out, "\tleaq\t-", c.need, "(%rsp), %rsp\n");
    put(out, "\tcmpq\t%fs:0x70, %rsp\n");
    if (!small) put(out, "\tleaq\t", c.need, "(%rsp), %rsp\n");
    put(out, "\tjb\t.Lpirn_m", c.id, "\n.Lpirn_b", c.id, ":\n");
}

void x86_64_cpu::put_cold(std::string& out, const check& c) const {
    put(out, ".Lpirn_m", c.id, ":\n\tpushq\t%r10\n");
    if (c.has_cfi) put(out, "\t.cfi_def_cfa_offset 16\n");
    put(out, "\tleaq\t.Lpirn_", c.landing_pads ? 'r' : 'b', c.id, "(%rip), %r10\n");
    if (c.need <= k_short_hop && c.arguments == 0) {
        put(out, "\tjmp\t__pirn_morestack0\n");
    } else if (c.need <= k_short_hop && c.arguments == k_all_arguments) {
        put(out, "\tjmp\t__pirn_morestacka\n");
    } else {
        int64_t words = c.arguments == k_all_arguments ? 255 : (c.arguments + 15) / 16;
        uint32_t code = static_cast<uint32_t>((c.need + 15) / 16) |
                        static_cast<uint32_t>(std::min<int64_t>(words, 255)) << 24;
        put(out, "\tpushq\t%r11\n");
        if (c.has_cfi) put(out, "\t.cfi_def_cfa_offset 24\n");
        put(out, "\tmovl\t$", code, ", %r11d\n\tjmp\t__pirn_morestack\n");
    }
    if (c.landing_pads) put(out, ".Lpirn_r", c.id, ":\n\tendbr64\n\tjmp\t.Lpirn_b", c.id, "\n");
}

void x86_64_cpu::put_call(std::string& out, const statement& s, std::string_view target) const {
    std::string_view op = s.op, args = s.args;
    while (is_prefix(op)) op = take_word(args);
    // A jump through the GOT may have a suffix that a direct one must not have.
    if (same(op, "jmpq") || same(op, "callq")) op.remove_suffix(1);
    put(out, "\t", op, "\t", target, "\n");
}

void x86_64_cpu::put_call_through(std::string& out, const insn& i, bool arguments, int64_t bytes,
                                  std::vector<std::string>& helpers) const {
    bool tail = i.where == flow::jump_through;
    bool uses_r10 = i.through.find("%r10") != i.through.npos;
    std::string helper = arguments ? "__pirn_icalla" : "__pirn_icall";
    if (arguments && !uses_r10) put_argument_bytes(out, bytes);
    if (i.through != "%r11") put(out, "\tmovq\t", i.through, ", %r11\n");
    if (arguments && uses_r10) put_argument_bytes(out, bytes);
    put(out, tail ? "\tjmp\t" : "\tcall\t", helper, "\n");
    helpers.push_back(helper);
}

// __pirn_icall: calls what %r11 points to. __pirn_fcall: the same for what is known to be foreign,
// the common part of the thunks. With an `a`, %r10d says where stack arguments may lie.
void x86_64_cpu::put_helper(std::string& out, std::string_view name) const {
    bool arguments = name.ends_with('a');
    put(out, "\t.section\t.text.", name, ",\"axG\",@progbits,", name, ",comdat\n\t.p2align\t4\n",
        "\t.weak\t", name, "\n\t.hidden\t", name, "\n\t.type\t", name, ", @function\n", name,
        ":\n");
    if (begins(name, "__pirn_icall")) {
        // The marker stands before the entry. What begins a page has none: there may be nothing
        // before it.
        put(out, "\ttestl\t$4095, %r11d\n\tje\t1f\n\tcmpl\t$", k_marker,
            ", -4(%r11)\n\tjne\t1f\n\tjmp\t*%r11\n1:\n");
    }
    if (hop_at_every_check) {
        put(out, "\tcmpq\t$0, %fs:0x70\n\tjne\t2f\n");
    } else {
        put(out, "\tleaq\t-", k_foreign_need, "(%rsp), %rsp\n\tcmpq\t%fs:0x70, %rsp\n\tleaq\t",
            k_foreign_need, "(%rsp), %rsp\n\tjb\t2f\n");
    }
    put(out, "\tjmp\t*%r11\n2:\tjmp\t", arguments ? "__pirn_foreign" : "__pirn_foreign0",
        "\n\t.size\t", name, ", .-", name, "\n");
}

void x86_64_cpu::put_thunk(std::string& out, std::string_view name, bool arguments, bool local,
                           int64_t need, std::vector<std::string>& helpers) const {
    std::string target = spelled("", name);
    std::string address = local ? "\tleaq\t" + target + "(%rip), %r11\n"
                                : "\tmovq\t" + target + "@GOTPCREL(%rip), %r11\n";
    if (need >= k_foreign_need) {
        std::string helper = arguments ? "__pirn_fcalla" : "__pirn_fcall";
        put(out, address, "\tjmp\t", helper, "\n");
        helpers.push_back(helper);
        return;
    }
    int64_t below = std::max<int64_t>(0, need - k_free_need);
    if (hop_at_every_check) {
        put(out, "\tcmpq\t$0, %fs:0x70\n\tjne\t1f\n");
    } else if (below == 0) {
        put(out, "\tcmpq\t%fs:0x70, %rsp\n\tjb\t1f\n");
    } else {
        put(out, "\tleaq\t-", below, "(%rsp), %r11\n\tcmpq\t%fs:0x70, %r11\n\tjb\t1f\n");
    }
    put(out, "\tjmp\t", target, local ? "" : "@PLT", "\n1:", address, "\tjmp\t",
        arguments ? "__pirn_foreign" : "__pirn_foreign0", "\n");
}

// Whether the flags that are set before statement `at` may be read from there on.
bool flags_live(const unit& u, uint32_t at, uint32_t end) {
    for (uint32_t i = at; i < end; ++i) {
        const statement& s = u.statements[i];
        if (s.kind == statement_kind::blank || s.kind == statement_kind::directive) continue;
        if (s.kind == statement_kind::label || s.asm_block) return true;
        std::string_view op = s.op;
        if (begins(op, "mov") || begins(op, "lea") || begins(op, "push") || begins(op, "pop") ||
            begins(op, "not")) {
            if (!begins(op, "pushf")) continue;
        }
        bool sets = begins(op, "add") || begins(op, "sub") || begins(op, "and") ||
                    begins(op, "or") || begins(op, "xor") || begins(op, "cmp") ||
                    begins(op, "test") || begins(op, "call") || begins(op, "ret");
        return !sets || begins(op, "cmpxchg");
    }
    return true;
}

void x86_64_cpu::put_stack_test(std::string& before, std::string& after, const unit& u, uint32_t at,
                                uint32_t begin, uint32_t end, uint32_t id) const {
    (void)begin, (void)id;
    // By the sign of the difference: a limit of all ones, which asks for a preemption, passes.
    std::string_view op = u.statements[at].op, rest = u.statements[at].args;
    bool sets_flags = begins(op, "sub") || begins(op, "add") || begins(op, "and");
    if (sets_flags || !flags_live(u, at + 1, end)) {
        put(after, "\tcmpq\t%fs:0x70, %rsp\n\tjs\t__pirn_alloca_overflow\n");
        return;
    }
    // The flags are kept on the stack as it was before.
    std::string_view from = take_part(rest);
    bool move = is(op, "mov") && from.starts_with('%');
    put(move ? before : after, "\tpushfq\n\tcmpq\t%fs:0x70, ", move ? from : "%rsp",
        "\n\tjs\t__pirn_alloca_overflow\n\tpopfq\n");
}

}  // namespace

const cpu& x86_64() {
    static const x86_64_cpu the;
    return the;
}

}  // namespace split
