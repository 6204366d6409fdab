// SPDX-License-Identifier: MIT
// Reads a compiler's assembly text into statements, symbols, sections and functions.
#include "split/reader.h"

#include <cstring>
#include <string>
#include <tuple>
#include <unordered_map>

#include "split/text.h"

namespace split {

namespace {

uint64_t hash_of(std::string_view s) {
    uint64_t h = 0x9e3779b97f4a7c15u + s.size();
    while (s.size() >= 8) {
        uint64_t word;
        std::memcpy(&word, s.data(), 8);
        h = (h ^ word) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
        s.remove_prefix(8);
    }
    for (char c : s) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    return h ^ (h >> 29);
}

}  // namespace

symbol_table::symbol_table() : slots_(1024, k_none) {}

size_t symbol_table::probe(std::string_view name) const {
    size_t mask = slots_.size() - 1;
    size_t at = hash_of(name) & mask;
    while (slots_[at] != k_none && all_[slots_[at]].name != name) at = (at + 1) & mask;
    return at;
}

uint32_t symbol_table::find(std::string_view name) const {
    return slots_[probe(name)];
}

uint32_t symbol_table::intern(std::string_view name) {
    size_t at = probe(name);
    if (slots_[at] != k_none) return slots_[at];
    if (all_.size() * 2 >= slots_.size()) {
        slots_.assign(slots_.size() * 4, k_none);
        for (uint32_t i = 0; i < all_.size(); ++i) slots_[probe(all_[i].name)] = i;
        at = probe(name);
    }
    slots_[at] = static_cast<uint32_t>(all_.size());
    all_.emplace_back().name = name;
    return slots_[at];
}

uint32_t symbol_table::resolve(uint32_t i) const {
    // An ifunc is defined as an alias of its resolver, but it is another function.
    for (int steps = 0; all_[i].alias_of != k_none && steps < 64; ++steps) {
        if (all_[i].type == symbol_type::ifunc) break;
        i = all_[i].alias_of;
    }
    return i;
}

uint32_t unit::entry_of(uint32_t symbol) const {
    const split::symbol& s = symbols[symbols.resolve(symbol)];
    if (!s.is_entry || s.function == k_none) return k_none;
    const function& f = functions[s.function];
    return f.plain || f.parent != k_none ? k_none : s.function;
}

bool is_generated(std::string_view text) {
    if (text.find(".pirn_split") != text.npos) return true;
    for (size_t at = text.find(".ident"); at != text.npos; at = text.find(".ident", at + 1)) {
        std::string_view rest = text.substr(at, 160);
        rest = rest.substr(0, rest.find('\n'));
        if (rest.find("\"GCC: ") != rest.npos || rest.find("clang version") != rest.npos) {
            return true;
        }
    }
    return false;
}

namespace {

class reader {
  public:
    reader(unit& u) : u_(u) {}
    void run();

  private:
    void line(std::string_view text);
    bool comment_line(std::string_view trimmed);
    size_t statement_end(std::string_view s, size_t& comment) const;
    void add(std::string_view text, std::string_view body);
    void take(uint32_t at);
    void label(uint32_t at);
    void instruction(uint32_t at);
    void directive(uint32_t at);
    void section_directive(uint32_t at);
    void symbol_directive(const statement& s);
    void alias(std::string_view name, std::string_view value);
    void property(const statement& s);
    void own_directive(uint32_t at);
    void start_function(uint32_t at, bool has_cfi);
    void end_function(uint32_t at);
    void size_of_function(uint32_t at);
    void finish();
    uint32_t section_named(std::string_view name, std::string_view flags, std::string_view group,
                           std::string_view unique);
    void switch_to(uint32_t section) {
        previous_ = current_;
        current_ = section;
    }
    uint32_t open_in(uint32_t section) const {
        for (size_t i = open_.size(); i-- > 0;) {
            if (u_.functions[open_[i]].section == section) return open_[i];
        }
        return k_none;
    }

    unit& u_;
    std::unordered_map<std::string, uint32_t> section_ids_;
    std::vector<std::pair<uint32_t, uint32_t>> section_stack_;
    std::vector<uint32_t> open_;  // functions begun and not yet ended
    uint32_t current_ = 0;
    uint32_t previous_ = 0;
    uint32_t candidate_ = k_none;  // label that may name the next function
    uint32_t line_ = 0;
    uint32_t blocks_ = 0;      // inline assemblies seen
    uint32_t block_ = 0;       // the one we are in
    int property_ = 0;         // where we are in a note that says which branches are protected
    bool in_comment_ = false;  // of the /* */ kind
    bool ended_ = false;
};

void reader::run() {
    u_.statements.reserve(u_.text.size() / 20);
    u_.symbols.intern(".text");
    section_named(".text", "ax", {}, {});
    std::string_view rest = u_.text;
    while (!rest.empty()) {
        size_t end = rest.find('\n');
        ++line_;
        line(rest.substr(0, end));
        rest.remove_prefix(end == rest.npos ? rest.size() : end + 1);
    }
    finish();
}

// Inline assembly stands between marks that are comments: #APP and #NO_APP, with gcc for aarch64
// words. Within them gcc marks each statement with its place in the source.
bool reader::comment_line(std::string_view t) {
    if (begins(t, "#APP") || begins(t, "//APP") || begins(t, "// Start of user assembly")) {
        block_ = ++blocks_;
        return true;
    }
    if (begins(t, "#NO_APP") || begins(t, "//NO_APP") || begins(t, "// End of user assembly")) {
        block_ = 0;
        return true;
    }
    bool hash = t[0] == '#';
    if (!hash && !(u_.comment == '/' && begins(t, "//"))) return false;
    if (block_) {
        std::string_view mark = trim(t.substr(hash ? 1 : 2));
        if (!mark.empty() && is_digit(mark[0])) block_ = ++blocks_;
    }
    return true;
}

// Where the statement that begins s ends (at a `;`, a comment or the line's end).
size_t reader::statement_end(std::string_view s, size_t& comment) const {
    bool quoted = false;
    for (size_t i = 0; i < s.size(); ++i) {
        char c = s[i];
        if (quoted) {
            if (c == '\\') ++i;
            if (c == '"') quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (c == ';') {
            return i;
        } else if (c == '#' && u_.comment == '#') {
            comment = i;
            return i;
        } else if (c == '/' && i + 1 < s.size() &&
                   (s[i + 1] == '*' || (s[i + 1] == '/' && u_.comment == '/'))) {
            comment = i;
            return i;
        }
    }
    return s.size();
}

void reader::line(std::string_view text) {
    if (in_comment_) {
        in_comment_ = text.find("*/") == text.npos;
        add(text, {});
        return;
    }
    std::string_view t = trim(text);
    if (t.empty() || comment_line(t)) {
        add(text, {});
        return;
    }
    std::string_view rest = text;
    for (;;) {
        size_t comment = rest.npos;
        size_t end = statement_end(rest, comment);
        std::string_view body = trim(rest.substr(0, end));
        // A label may be followed by more on its line.
        std::string_view name = leading_name(body);
        size_t length = name.size() + (!body.empty() && body[0] == '"' ? 2 : 0);
        if (name.empty() && !body.empty() && is_digit(body[0])) {
            while (length < body.size() && is_digit(body[length])) ++length;
        }
        if (length > 0 && length < body.size() && body[length] == ':') {
            size_t cut = static_cast<size_t>(body.data() - rest.data()) + length + 1;
            bool last = length + 1 == body.size() && end == rest.size();
            bool only_comment = length + 1 == body.size() && comment != rest.npos;
            if (last || only_comment) {
                add(rest, body.substr(0, length + 1));
                break;
            }
            add(rest.substr(0, cut), body.substr(0, length + 1));
            rest.remove_prefix(cut);
            continue;
        }
        if (comment != rest.npos && rest.substr(comment).starts_with("/*")) {
            size_t close = rest.find("*/", comment + 2);
            in_comment_ = close == rest.npos;
            if (!in_comment_ && !trim(rest.substr(close + 2)).empty()) {
                add(rest.substr(0, close + 2), body);
                rest.remove_prefix(close + 2);
                continue;
            }
        }
        if (end == rest.size() || comment != rest.npos) {
            add(rest, body);
            break;
        }
        add(rest.substr(0, end), body);
        rest.remove_prefix(end + 1);
    }
}

void reader::add(std::string_view text, std::string_view body) {
    statement& s = u_.statements.emplace_back();
    s.text = text;
    s.line = line_;
    s.section = current_;
    s.symbol = k_none;
    s.asm_block = block_;
    s.kind = statement_kind::blank;
    if (body.empty() || ended_) return;
    if (body.back() == ':') {
        s.kind = statement_kind::label;
        s.op = body[0] == '"' ? leading_name(body) : body.substr(0, body.size() - 1);
    } else {
        size_t i = 0;
        while (i < body.size() && !is_space(body[i])) ++i;
        s.op = body.substr(0, i);
        s.args = trim(body.substr(i));
        bool assignment = !s.args.empty() && s.args[0] == '=';
        s.kind =
            body[0] == '.' || assignment ? statement_kind::directive : statement_kind::instruction;
    }
    take(static_cast<uint32_t>(u_.statements.size() - 1));
}

void reader::take(uint32_t at) {
    switch (u_.statements[at].kind) {
        case statement_kind::label:
            label(at);
            break;
        case statement_kind::instruction:
            instruction(at);
            break;
        case statement_kind::directive:
            directive(at);
            break;
        case statement_kind::blank:
            break;
    }
}

void reader::label(uint32_t at) {
    statement& s = u_.statements[at];
    if (is_digit(s.op[0])) return;  // a local label of inline assembly
    s.symbol = u_.symbols.intern(s.op);
    symbol& name = u_.symbols[s.symbol];
    name.label = at;
    name.section = current_;
    name.in_asm = s.asm_block != 0;
    bool names_function = name.type == symbol_type::function && !s.asm_block &&
                          !begins(s.op, ".L") && u_.sections[current_].code;
    uint32_t open = open_in(current_);
    if (names_function) {
        if (open != k_none && u_.functions[open].label == k_none) {
            u_.functions[open].label = at;
            u_.functions[open].name = s.symbol;
            name.is_entry = true;
        } else {
            if (open != k_none && u_.functions[open].start == k_none) {
                end_function(at);
                open = k_none;
            }
            if (open == k_none) candidate_ = at;
        }
    }
    if (open != k_none) name.function = open;
}

void reader::instruction(uint32_t at) {
    const statement& s = u_.statements[at];
    if (s.asm_block) return;
    if (same(s.op, "endbr64") || (same(s.op, "hint") && s.args.ends_with("34")) ||
        (same(s.op, "bti") && s.args == "c")) {
        u_.landing_pads = true;
    }
    if (open_in(current_) != k_none || same(s.op, "nop")) return;
    if (candidate_ == k_none || u_.statements[candidate_].section != current_) {
        throw not_understood(at, "an instruction outside any function");
    }
    start_function(at, false);
}

void reader::start_function(uint32_t at, bool has_cfi) {
    function f{};
    f.name = k_none;
    f.label = k_none;
    f.section = current_;
    f.begin = at;
    f.end = k_none;
    if (has_cfi) f.start = at;
    auto id = static_cast<uint32_t>(u_.functions.size());
    if (candidate_ != k_none && u_.statements[candidate_].section == current_) {
        f.label = candidate_;
        f.name = u_.statements[candidate_].symbol;
        f.begin = candidate_;
        u_.symbols[f.name].is_entry = true;
        u_.symbols[f.name].function = id;
        for (uint32_t i = candidate_; i < at; ++i) {
            uint32_t label = u_.statements[i].symbol;
            if (label != k_none) u_.symbols[label].function = id;
        }
    }
    candidate_ = k_none;
    u_.functions.push_back(f);
    open_.push_back(id);
}

void reader::end_function(uint32_t at) {
    for (size_t i = open_.size(); i-- > 0;) {
        function& f = u_.functions[open_[i]];
        if (f.section != current_) continue;
        f.end = at;
        if (f.cold_at == k_none) f.cold_at = at;
        open_.erase(open_.begin() + static_cast<long>(i));
        return;
    }
    throw not_understood(at, "the end of a function that has not begun");
}

void reader::directive(uint32_t at) {
    const statement& s = u_.statements[at];
    std::string_view op = s.op;
    if (begins(op, ".cfi_")) {
        if (s.asm_block) return;
        if (same(op, ".cfi_startproc")) {
            if (open_in(current_) != k_none && u_.functions[open_in(current_)].start == k_none) {
                end_function(at);
            }
            start_function(at, true);
        } else if (same(op, ".cfi_endproc")) {
            end_function(at);
        }
    } else if (begins(op, ".pirn_")) {
        own_directive(at);
    } else if (same(op, ".size")) {
        if (!s.asm_block) size_of_function(at);
    } else if (same(op, ".end")) {
        ended_ = true;
    } else if (same(op, ".intel_syntax") && !s.asm_block) {
        throw not_understood(at, "Intel syntax is not read: leave out -masm=intel");
    } else if (same(op, ".code32") && !s.asm_block) {
        throw not_understood(at, "32-bit code is not read");
    } else if (property_ && (same(op, ".long") || same(op, ".word") || same(op, ".4byte"))) {
        property(s);
    } else if (s.args.starts_with('=') || same(op, ".set") || same(op, ".equ") ||
               same(op, ".globl") || same(op, ".global") || same(op, ".weak") ||
               same(op, ".type") || same(op, ".weakref")) {
        symbol_directive(s);
    } else {
        section_directive(at);
    }
}

void reader::own_directive(uint32_t at) {
    const statement& s = u_.statements[at];
    if (same(s.op, ".pirn_split")) {
        if (parse_number(s.args) != k_pass_version) {
            std::string why = "compiled for version ";
            put(why, s.args, " of the pass, this is ", k_pass_version);
            throw not_understood(at, why);
        }
    } else if (same(s.op, ".pirn_plain")) {
        if (open_in(current_) == k_none) throw not_understood(at, "stands in no function");
        u_.functions[open_in(current_)].plain = true;
    } else if (same(s.op, ".pirn_need")) {
        auto need = parse_number(s.args);
        if (!need || *need < 0 || !s.asm_block) {
            throw not_understood(at, "wants a number of bytes, within inline assembly");
        }
    } else {
        throw not_understood(at, "not a directive of this version of the pass");
    }
}

// A function ends for .size where the compiler says: at this place (gcc), or at a label before it
// (clang). What the pass adds must stand before that end, to belong to the function.
void reader::size_of_function(uint32_t at) {
    std::string_view rest = u_.statements[at].args;
    uint32_t name = u_.symbols.find(leading_name(take_part(rest)));
    if (name == k_none) return;
    for (size_t i = open_.size(); i-- > 0;) {
        function& f = u_.functions[open_[i]];
        if (f.name != name) continue;
        uint32_t end_label = u_.symbols.find(leading_name(trim(rest)));
        bool by_label = end_label != k_none && u_.symbols[end_label].label != k_none &&
                        u_.symbols[end_label].label > f.begin && end_label != f.name;
        f.cold_at = by_label ? u_.symbols[end_label].label : at;
        if (f.start == k_none) {
            f.end = f.cold_at;
            open_.erase(open_.begin() + static_cast<long>(i));
        } else if (!by_label) {
            f.cold_at = k_none;
        }
        return;
    }
}

void reader::symbol_directive(const statement& s) {
    std::string_view rest = s.args;
    if (rest.starts_with('=')) {
        alias(leading_name(s.op), trim(rest.substr(1)));
    } else if (same(s.op, ".set") || same(s.op, ".equ")) {
        std::string_view name = leading_name(take_part(rest));
        alias(name, trim(rest));
    } else if (same(s.op, ".weakref")) {
        uint32_t name = u_.symbols.intern(leading_name(take_part(rest)));
        uint32_t target = u_.symbols.intern(leading_name(trim(rest)));
        u_.symbols[name].weakref_to = target;
    } else if (same(s.op, ".type")) {
        symbol& name = u_.symbols[u_.symbols.intern(leading_name(take_part(rest)))];
        std::string_view type = trim(rest);
        if (!type.empty() && !is_name_char(type[0])) type.remove_prefix(1);
        if (begins(type, "function") || type == "STT_FUNC") name.type = symbol_type::function;
        if (begins(type, "gnu_indirect_function")) name.type = symbol_type::ifunc;
    } else {
        auto binding = same(s.op, ".weak") ? symbol_binding::weak : symbol_binding::global;
        while (!rest.empty()) {
            symbol& name = u_.symbols[u_.symbols.intern(leading_name(take_part(rest)))];
            // Once weak, a symbol stays so: `.weak` and `.globl` for one name do occur.
            if (name.binding != symbol_binding::weak) name.binding = binding;
        }
    }
}

void reader::alias(std::string_view name, std::string_view value) {
    std::string_view target = leading_name(value);
    size_t quotes = value.starts_with('"') ? 2 : 0;
    if (name.empty() || same(name, ".") || target.empty() || target == "." ||
        target.size() + quotes != value.size()) {
        return;  // a number or an expression
    }
    uint32_t target_id = u_.symbols.intern(target);
    uint32_t id = u_.symbols.intern(name);
    u_.symbols[id].alias_of = target_id;
    u_.sets.push_back(id);
}

// In the note of GNU properties: an identifier, a size, a value whose lowest bit says that
// indirect branches are protected (0xc0000002 on x86-64, 0xc0000000 on aarch64).
void reader::property(const statement& s) {
    std::string_view rest = s.args;
    while (!rest.empty()) {
        auto value = parse_number(take_part(rest));
        if (property_ == 1) {
            if (value == 0xc0000002 || value == 0xc0000000) property_ = 2;
        } else if (property_ == 2) {
            property_ = 3;
        } else {
            if (value && (*value & 1)) u_.landing_pads = true;
            property_ = 1;
        }
    }
}

uint32_t reader::section_named(std::string_view name, std::string_view flags,
                               std::string_view group, std::string_view unique) {
    std::string key;
    put(key, name, '\n', group, '\n', unique);
    auto [found, is_new] = section_ids_.try_emplace(key, static_cast<uint32_t>(u_.sections.size()));
    if (is_new) {
        bool code = flags.find('x') != flags.npos || begins(name, ".text");
        bool tables = !begins(name, ".debug") && !begins(name, ".gcc_except_table") &&
                      !begins(name, ".note") && !begins(name, ".eh_frame") &&
                      !begins(name, ".gnu") && !begins(name, ".stack_sizes");
        u_.sections.push_back({name, group, code, tables});
    }
    return found->second;
}

void reader::section_directive(uint32_t at) {
    const statement& s = u_.statements[at];
    std::string_view rest = s.args;
    if (same(s.op, ".text") || same(s.op, ".data") || same(s.op, ".bss")) {
        property_ = 0;
        switch_to(section_named(s.op, same(s.op, ".text") ? "ax" : "aw", {}, {}));
    } else if (same(s.op, ".previous")) {
        std::swap(current_, previous_);
    } else if (same(s.op, ".popsection")) {
        if (section_stack_.empty()) throw not_understood(at, "nothing was pushed");
        std::tie(current_, previous_) = section_stack_.back();
        section_stack_.pop_back();
    } else if (same(s.op, ".section") || same(s.op, ".pushsection")) {
        if (same(s.op, ".pushsection")) section_stack_.emplace_back(current_, previous_);
        section_words words = split_section(rest);
        std::string_view group = words.group;
        if (words.flags.find('?') != words.flags.npos) group = u_.sections[current_].group;
        switch_to(section_named(words.name, words.flags, group, words.unique));
        property_ = same(words.name, ".note.gnu.property") ? 1 : 0;
    } else {
        return;
    }
    // The directive belongs to neither: let it count for the section it leads to.
    u_.statements[at].section = current_;
}

void reader::finish() {
    auto last = static_cast<uint32_t>(u_.statements.size());
    if (!open_.empty()) {
        throw not_understood(last ? last - 1 : 0,
                             "a function begins in this text and does not end");
    }
    for (uint32_t id = 0; id < u_.functions.size(); ++id) {
        function& f = u_.functions[id];
        if (f.name == k_none) throw not_understood(f.begin, "a function without a name");
        std::string_view name = u_.symbols[f.name].name;
        // gcc names the cold partition of f "f.cold", its label within the unwind region.
        size_t suffix = name.rfind(".cold");
        bool inner_label = f.start != k_none && f.label > f.start;
        if (suffix == name.npos ||
            (!inner_label && !(f.start == k_none && suffix + 5 == name.size()))) {
            if (inner_label) throw not_understood(f.label, "a function's name after its start");
            continue;
        }
        uint32_t parent = u_.symbols.find(name.substr(0, suffix));
        if (parent == k_none || !u_.symbols[parent].is_entry) {
            throw not_understood(f.label, "a cold partition of an unknown function");
        }
        f.parent = u_.symbols[parent].function;
    }
    // A resolver runs while the program is being relocated: the thread pointer may not be there.
    for (uint32_t id : u_.sets) {
        if (u_.symbols[id].type != symbol_type::ifunc) continue;
        const symbol& resolver = u_.symbols[u_.symbols.resolve(u_.symbols[id].alias_of)];
        if (resolver.is_entry) u_.functions[resolver.function].plain = true;
    }
    for (function& f : u_.functions) {
        if (f.parent == k_none) continue;
        bool plain = f.plain || u_.functions[f.parent].plain;
        f.plain = u_.functions[f.parent].plain = plain;
    }
}

}  // namespace

section_words split_section(std::string_view args) {
    section_words words;
    auto unquoted = [](std::string_view s) {
        if (s.size() >= 2 && s.front() == '"' && s.back() == '"') s = s.substr(1, s.size() - 2);
        return s;
    };
    words.name = unquoted(take_part(args));
    words.flags = unquoted(take_part(args));
    take_part(args);  // the type
    auto has = [&](char c) { return words.flags.find(c) != words.flags.npos; };
    if (has('M')) take_part(args);  // the size of its entries
    if (has('o')) take_part(args);  // the section it is linked to
    if (has('G')) {
        words.group = unquoted(take_part(args));
        if (args.substr(0, args.find(',')).find("comdat") != args.npos) take_part(args);
    }
    if (trim(args).starts_with("unique")) words.unique = args;
    return words;
}

void read(unit& u, std::string_view text, char comment) {
    u.text = text;
    u.comment = comment;
    reader(u).run();
}

}  // namespace split
