// SPDX-License-Identifier: MIT
// Reads a compiler's assembly text into statements, symbols, sections and functions.
//
// Every byte of the input belongs to exactly one statement (its `text`), except newlines and the
// semicolons between statements: writing all of them in order, each on a line, says the same
// program again. The pass changes what it means to change and nothing else.
// Nothing here knows a CPU, except which characters begin a comment.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace split {

inline constexpr uint32_t k_none = 0xffffffff;
inline constexpr int k_pass_version = 1;

// What the pass does not understand: reported as `file:line: text: why`.
struct not_understood : std::runtime_error {
    uint32_t statement;
    not_understood(uint32_t at, const std::string& why) : std::runtime_error(why), statement(at) {}
};

enum class statement_kind : uint8_t { blank, label, directive, instruction };

struct statement {
    std::string_view text;  // all of it: with the space and comment around it, without the newline
    std::string_view op;    // a mnemonic, a directive with its dot, or a label's name
    std::string_view args;  // operands, without comments
    uint32_t line;          // in the input, from 1
    uint32_t section;
    uint32_t symbol;     // of a label, else k_none
    uint32_t asm_block;  // which inline assembly it belongs to; 0 = the compiler's own text
    statement_kind kind;
};

struct section {
    std::string_view name;
    std::string_view group;  // signature of its COMDAT group, or empty
    bool code;
    bool tables;  // may hold jump tables: not debug information, not exception tables
};

enum class symbol_binding : uint8_t { local, global, weak };
enum class symbol_type : uint8_t { none, function, ifunc };

struct symbol {
    std::string_view name;       // without quotes
    uint32_t label = k_none;     // the statement that defines it
    uint32_t section = k_none;   // where that stands
    uint32_t function = k_none;  // whose entry it is, or in whose body it stands
    uint32_t alias_of = k_none;  // by .set, .equ or =
    uint32_t weakref_to = k_none;
    symbol_binding binding = symbol_binding::local;
    symbol_type type = symbol_type::none;
    bool is_entry = false;  // of `function`
    bool in_asm = false;    // defined by inline assembly
};

struct function {
    uint32_t name;   // symbol
    uint32_t label;  // the statement of that label
    uint32_t section;
    uint32_t start = k_none;  // .cfi_startproc, or none if it has no unwind information
    uint32_t begin;           // its statements are [begin, end), those in other sections left out
    uint32_t end;
    uint32_t cold_at = k_none;  // what is added to its end goes before this statement
    uint32_t parent = k_none;   // the function whose cold partition this is
    bool plain = false;         // to be left as it is (.pirn_plain, resolvers of ifuncs)
};

// Names to symbols, in the order of their first mention.
class symbol_table {
  public:
    symbol_table();
    uint32_t intern(std::string_view name);
    uint32_t find(std::string_view name) const;  // k_none if it was never mentioned
    symbol& operator[](uint32_t i) { return all_[i]; }
    const symbol& operator[](uint32_t i) const { return all_[i]; }
    uint32_t size() const { return static_cast<uint32_t>(all_.size()); }
    // The symbol that an alias means in the end.
    uint32_t resolve(uint32_t i) const;

  private:
    size_t probe(std::string_view name) const;
    std::vector<symbol> all_;
    std::vector<uint32_t> slots_;
};

struct unit {
    std::string_view text;
    char comment;               // '#' (x86-64) or '/' (aarch64: two of them)
    bool landing_pads = false;  // indirect branches must land on endbr64 or bti
    std::vector<statement> statements;
    std::vector<section> sections;
    std::vector<function> functions;
    std::vector<uint32_t> sets;  // symbols defined as aliases, in order
    symbol_table symbols;

    bool in_function(const function& f, uint32_t i) const {
        return statements[i].section == f.section;
    }
    // The function at whose entry the symbol stands, if it is one that gets rewritten; else k_none.
    uint32_t entry_of(uint32_t symbol) const;
};

// The operands of .section and .pushsection.
struct section_words {
    std::string_view name, flags, group, unique;
};
section_words split_section(std::string_view args);

// Whether a compiler wrote the text (as its .ident or our own .pirn_split shows).
bool is_generated(std::string_view text);
// Fills the unit; if it throws, the unit has what came before.
void read(unit& u, std::string_view text, char comment);

}  // namespace split
