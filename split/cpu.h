// SPDX-License-Identifier: MIT
// What the pass asks of a CPU: to say what an instruction does to the stack, and to write code.
//
// Registers are numbered: 0 to 31 general (as DWARF numbers them, so that .cfi directives and
// instructions speak of the same ones), 32 to 63 vector. A set of registers is one word.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "split/reader.h"

namespace split {

// The contract with the run time (arch/, stack/). Bytes.
inline constexpr int64_t k_small_frame = 304;  // checked by comparing sp itself
inline constexpr int64_t k_leaf_frame = 192;   // without calls: no check
inline constexpr int64_t k_foreign_need = 65536;
inline constexpr int64_t k_dynamic_need = 65536;
inline constexpr int64_t k_free_need = 384;    // of foreign code, within the reserve
inline constexpr int64_t k_short_hop = 16384;  // up to this a hop needs no operands
inline constexpr int64_t k_max_frame = 1 << 28;
inline constexpr int64_t k_all_arguments = -1;  // up to the top of the old stack

enum class flow : uint8_t {
    next,
    call,
    call_through,  // a register or memory
    jump,
    jump_through,
    branch,  // conditional
    stop,    // return or trap
};

// What an instruction leaves in `dst`, as far as it matters here.
enum class effect : uint8_t {
    none,
    constant,      // imm
    add,           // a + imm
    add_register,  // a + b
    sub_register,  // a - b
    align,         // a & imm
    insert,        // a with imm's bits put in (movk)
    add_vectors,   // a + imm times the vector length in bytes / 16 (16 to 256 bytes)
};

struct memory {
    int8_t base = -1;
    bool indexed = false;
    bool write = false;
    bool address_only = false;  // lea
    uint8_t size = 8;
    int64_t disp = 0;
};

struct insn {
    flow where = flow::next;
    effect what = effect::none;
    int8_t dst = -1;
    int8_t a = -1;
    int8_t b = -1;
    int8_t compared_with_sp = -1;
    bool pushes = false;          // a register or a value onto the stack
    bool saves = false;           // stores nothing but the registers in `stored`
    bool probe = false;           // touches the stack without storing anything of meaning
    bool tls = false;             // belongs to an access sequence that must stay as it is
    bool dynamic = false;         // uses the stack in a way that is not seen here
    bool restores_frame = false;  // leave
    bool prefix = false;          // of the next instruction
    uint8_t memories = 0;
    int64_t imm = 0;
    uint64_t writes = 0;  // registers, `dst` included
    uint64_t reads = 0;   // registers named by operands
    uint64_t stored = 0;
    std::string_view target;   // of a direct call, jump or branch: as it stands in the text
    std::string_view through;  // of an indirect one: the operand
    std::string_view symbol;   // named by an address operand
    std::array<memory, 2> memory_at{};
};

struct check {
    uint32_t id;        // makes labels unique in the text
    int64_t need;       // bytes below sp at entry
    int64_t arguments;  // bytes of incoming stack arguments, or k_all_arguments
    bool landing_pads;  // the body must be re-entered through one
    bool body_lands;    // and its first instruction is one
    bool has_cfi;
};

// Fills the gap before a function's marker, so that the entry behind it is aligned. `base` is an
// aligned place before it in the section, if one is known: then the gap is as short as it can be,
// and is left out where it is longer than max_skip (0: never).
void put_gap(std::string& out, uint32_t base, uint32_t id, int log2, int max_skip,
             std::string_view filler);

// A name as it is written in assembly text, with a prefix before it.
std::string spelled(std::string_view prefix, std::string_view name);

struct cpu {
    virtual ~cpu() = default;

    virtual std::string_view triple() const = 0;
    virtual char comment() const = 0;
    virtual bool align_counts_bytes() const = 0;  // in .align; else powers of two
    virtual int8_t sp() const = 0;
    virtual int8_t frame_pointer() const = 0;
    // What a call leaves between the caller's sp and the callee's.
    virtual int64_t return_address_bytes() const = 0;
    virtual uint64_t argument_registers() const = 0;
    virtual uint64_t clobbered_by_calls() const = 0;
    virtual uint64_t saved_by_callee() const = 0;
    // Registers that hold nothing at entry: a push of one only moves sp.
    virtual uint64_t meaningless_at_entry() const = 0;
    // The smallest alignment of sp that code may rely on.
    virtual int64_t stack_step() const = 0;
    virtual int64_t red_zone() const = 0;
    virtual int integer_arguments() const = 0;  // how many registers pass them
    virtual int8_t register_number(std::string_view name) const = 0;

    // Throws a `const char*`, the reason, for a write to sp that it does not know.
    virtual insn decode(const statement& s) const = 0;
    virtual bool asm_uses_stack(const statement& s) const = 0;
    virtual bool is_landing_pad(const statement& s) const = 0;
    virtual bool is_signing_landing_pad(const statement& s) const = 0;  // paciasp
    // Where setjmp may return to a second time.
    virtual bool is_jump_landing_pad(const statement& s) const = 0;
    virtual uint32_t marker() const = 0;

    virtual void put_padding(std::string& out, uint32_t base, uint32_t id, int log2,
                             int max_skip) const = 0;
    virtual void put_check(std::string& out, const check& c) const = 0;
    virtual void put_cold(std::string& out, const check& c) const = 0;
    // Direct: through the name that `prefix` and the symbol make. `bytes` < 0 and != all: none.
    virtual void put_argument_bytes(std::string& out, int64_t bytes) const = 0;
    virtual void put_call(std::string& out, const statement& s, std::string_view target) const = 0;
    virtual void put_jump(std::string& out, std::string_view target) const = 0;
    // Indirect. Adds the names of the helpers that it uses to `helpers`.
    virtual void put_call_through(std::string& out, const insn& i, bool arguments, int64_t bytes,
                                  std::vector<std::string>& helpers) const = 0;
    virtual void put_helper(std::string& out, std::string_view name) const = 0;
    // The name's thunk, without its section and symbol; `local`: its address needs no table. May
    // use helpers as well.
    virtual void put_thunk(std::string& out, std::string_view name, bool arguments, bool local,
                           int64_t need, std::vector<std::string>& helpers) const = 0;
    virtual void put_fix_limit(std::string& out) const = 0;
    // Around statement `at` of the function [begin, end), which changes sp: a jump to the run time
    // if it is now below the limit. Nothing may be stored at sp for that.
    virtual void put_stack_test(std::string& before, std::string& after, const unit& u, uint32_t at,
                                uint32_t begin, uint32_t end, uint32_t id) const = 0;
};

const cpu& x86_64();
const cpu& aarch64();

// "hop at every check", for tests.
extern bool hop_at_every_check;

}  // namespace split
