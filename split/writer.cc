// SPDX-License-Identifier: MIT
// Writes the text again with markers, checks, second names, renamed calls and thunks in it.
//
// Names. A function g that went through the pass has the further names `__split$g` and
// `__splita$g` (hidden, strong) at its entry, if its name binds outside this text. Calls go to
// them. Where this text does not define them, weak thunks in COMDAT groups stand in: the linker
// prefers the strong names, and a thunk is what calls of foreign functions get.
//
// A COMDAT group with rewritten functions gets a signature of its own, so that a foreign copy of
// the group never replaces the one that the second names lie in.
//
// The library's own text calls by other names, `__splitr$g` and `__splitra$g`: what a gate is put
// before (the run time's `__split$read`, say) is not before its calls. Its functions have both
// kinds of names, those in groups only the second kind: no user's copy stands in for them.
#include "split/writer.h"

#include <algorithm>
#include <bit>
#include <deque>
#include <map>
#include <set>

#include "split/needs.h"
#include "split/text.h"

namespace split {

bool hop_at_every_check = false;
bool runtime_text = false;

std::string spelled(std::string_view prefix, std::string_view name) {
    bool plain = std::ranges::all_of(name, is_name_char);
    std::string out;
    if (!plain) out += '"';
    put(out, prefix, name);
    if (!plain) out += '"';
    return out;
}

void put_gap(std::string& out, uint32_t base, uint32_t id, int log2, int max_skip,
             std::string_view filler) {
    int mask = (1 << log2) - 1;
    if (base == k_none) {
        put(out, "\t.p2align\t", log2, "\n\t.fill\t", mask - 3, ", 1, ", filler, "\n");
        return;
    }
    std::string gap;
    put(gap, "((.Lpirn_a", base, "-.Lpirn_g", id, "-4)&", mask, ")");
    put(out, ".Lpirn_g", id, ":\n\t.fill\t");
    // A comparison that holds is -1.
    if (max_skip > 0 && max_skip < mask) put(out, "-(", gap, "<=", max_skip, ")*");
    put(out, gap, ", 1, ", filler, "\n");
}

namespace {

// Compilers put a constructor or destructor alone into a group (C1), or together with its twins
// (C5): one program may have both, and the second names must not clash.
bool is_structor_group(std::string_view key) {
    for (size_t i = 2; i < key.size(); ++i) {
        // CI1 is a constructor that is inherited. Taking too much for one does no harm.
        bool constructor = key[i] == '1' || key[i] == '2';
        bool named_c = key[i - 1] == 'C' || (key[i - 1] == 'I' && key[i - 2] == 'C');
        bool named_d = key[i - 1] == 'D' && (constructor || key[i] == '0');
        if ((named_c && constructor) || named_d) return true;
    }
    return false;
}

// Calls go to names that begin so.
std::string_view call_prefix(bool arguments) {
    if (runtime_text) return arguments ? "__splitra$" : "__splitr$";
    return arguments ? "__splita$" : "__split$";
}

struct edit {
    std::string before, instead, after;
    bool replaced = false;
};

int64_t need_of(const cpu& c, const frame& f) {
    int64_t need = f.bytes + f.asm_bytes;
    if (f.dynamic) need += k_dynamic_need;
    // Below the frame: return addresses of calls, or what a function without calls may use.
    if (f.calls || f.dynamic) return need + c.return_address_bytes();
    return need + (f.red_zone ? c.red_zone() : 0);
}

class writer {
  public:
    writer(const unit& u, const cpu& c, const std::vector<frame>& frames)
        : u_(u), cpu_(c), frames_(frames), edit_of_(u.statements.size(), 0), edits_(1) {}
    std::string run();

  private:
    edit& at(uint32_t statement) {
        if (edit_of_[statement] == 0) {
            edit_of_[statement] = static_cast<uint32_t>(edits_.size());
            edits_.emplace_back();
        }
        return edits_[edit_of_[statement]];
    }
    void replace(uint32_t statement, std::string text) {
        edit& e = at(statement);
        e.instead = std::move(text);
        e.replaced = true;
    }

    void function_entry(uint32_t id);
    void marker(uint32_t id);
    void entry_check(uint32_t id, const check& c);
    void site_edit(uint32_t id, const site& s);
    void direct(const site& s, edit& e);
    bool named_here(uint32_t symbol) const;
    void second_names(std::string& out, uint32_t symbol) const;
    void aliases();
    void groups();
    void own_directives();
    void text_sections();
    void thunks(std::string& out);
    void thunk(std::string& out, std::string_view name, bool arguments, bool local);
    bool wants_strong(uint32_t symbol) const;
    uint32_t called(uint32_t symbol) const;

    const unit& u_;
    const cpu& cpu_;
    const std::vector<frame>& frames_;
    std::vector<uint32_t> edit_of_;
    std::deque<edit> edits_;  // whose elements stay where they are
    std::set<std::pair<std::string_view, bool>> thunks_, local_thunks_;
    std::vector<std::string> helpers_;
    // By section: the last aligned function entry, and its alignment.
    std::map<uint32_t, std::pair<uint32_t, int>> aligned_;
    std::string function_end_;  // what goes behind the current function's cold part
    uint32_t labels_ = 0;
};

// Whether this text gives the symbol its second names.
bool writer::named_here(uint32_t symbol) const {
    const split::symbol& s = u_.symbols[symbol];
    if (u_.entry_of(symbol) == k_none || s.type == symbol_type::ifunc) return false;
    if (s.binding == symbol_binding::local) return false;
    const split::symbol& entry = u_.symbols[u_.symbols.resolve(symbol)];
    // A weak function outside a group may be overridden by a foreign one.
    return s.binding == symbol_binding::global || !u_.sections[entry.section].group.empty();
}

void writer::second_names(std::string& out, uint32_t id) const {
    const symbol& s = u_.symbols[id];
    const symbol& entry = u_.symbols[u_.symbols.resolve(id)];
    std::string_view group = u_.sections[entry.section].group;
    std::string_view binding = is_structor_group(group) ? "\t.weak\t" : "\t.globl\t";
    for (std::string_view prefix : {"__split$", "__splita$", "__splitr$", "__splitra$"}) {
        const bool library = prefix[7] == 'r';
        if (library ? !runtime_text : runtime_text && !group.empty()) continue;
        std::string second = spelled(prefix, s.name);
        put(out, binding, second, "\n\t.hidden\t", second, "\n", second, ":\n");
    }
}

// Puts the marker into the gap that aligns the entry, if there is room.
void writer::marker(uint32_t id) {
    const function& f = u_.functions[id];
    int log2 = 0, max_skip = 0;
    uint32_t i = f.label;
    std::vector<uint32_t> alignments;
    while (i-- > 0) {
        const statement& s = u_.statements[i];
        if (s.kind == statement_kind::blank && !s.asm_block) continue;
        if (s.kind != statement_kind::directive || s.asm_block || s.section != f.section) break;
        std::string_view rest = s.args;
        bool power = same(s.op, ".p2align");
        if (power || same(s.op, ".align") || same(s.op, ".balign")) {
            int64_t n = parse_number(take_part(rest)).value_or(0);
            bool bytes = same(s.op, ".balign") || (!power && cpu_.align_counts_bytes());
            if (bytes) n = n > 0 ? std::bit_width(static_cast<uint64_t>(n)) - 1 : 0;
            take_part(rest);
            auto skip = static_cast<int>(parse_number(rest).value_or(0));
            if (n > log2) {
                log2 = static_cast<int>(n);
                max_skip = skip;
            }
            alignments.push_back(i);
        } else if (same(s.op, ".section") || same(s.op, ".text") || same(s.op, ".pushsection") ||
                   same(s.op, ".popsection") || same(s.op, ".previous")) {
            break;
        }
    }
    std::string& out = at(f.label).before;
    if (log2 >= 3) {
        for (uint32_t a : alignments) replace(a, "");
        auto last = aligned_.find(f.section);
        bool known = last != aligned_.end() && last->second.second >= log2;
        // A gap may be left out if it would be too long: only the gap's base tells how long.
        cpu_.put_padding(out, known ? last->second.first : k_none, id, log2, known ? max_skip : 0);
    }
    put(out, "\t.long\t", cpu_.marker(), "\n");
    if (named_here(f.name)) second_names(out, f.name);
    bool certain = log2 >= 3 &&
                   (max_skip == 0 || max_skip >= (1 << log2) - 1 || !aligned_.contains(f.section));
    if (certain) {
        put(out, ".Lpirn_a", id, ":\n");
        aligned_[f.section] = {id, log2};
    }
}

void writer::entry_check(uint32_t id, const check& c) {
    const function& f = u_.functions[id];
    uint32_t first = k_none, first_instruction = k_none;
    for (uint32_t i = (f.start == k_none ? f.label : std::max(f.start, f.label)) + 1; i < f.end;
         ++i) {
        const statement& s = u_.statements[i];
        if (s.section != f.section || s.kind == statement_kind::blank) continue;
        if (s.kind == statement_kind::directive && !s.asm_block) continue;
        if (first == k_none) first = i;
        if (s.asm_block || s.kind == statement_kind::instruction) {
            first_instruction = i;
            break;
        }
    }
    if (first_instruction == k_none) return;  // an empty body
    const statement& s = u_.statements[first_instruction];
    check mine = c;
    std::string text;
    if (!s.asm_block && cpu_.is_landing_pad(s)) {
        cpu_.put_check(text, mine);
        at(first_instruction).after.insert(0, text);
    } else {
        mine.body_lands = !s.asm_block && cpu_.is_signing_landing_pad(s);
        cpu_.put_check(text, mine);
        at(first).before.insert(0, text);
    }
    std::string cold;
    if (f.start != k_none) {
        at(f.start).after.insert(0, "\t.cfi_remember_state\n");
        int remembered = 1;
        for (uint32_t i = f.start; i < f.end; ++i) {
            const statement& d = u_.statements[i];
            if (d.kind != statement_kind::directive || d.asm_block) continue;
            if (same(d.op, ".cfi_remember_state")) ++remembered;
            if (same(d.op, ".cfi_restore_state")) --remembered;
        }
        for (; remembered > 0; --remembered) cold += "\t.cfi_restore_state\n";
    }
    cpu_.put_cold(cold, mine);
    if (u_.statements[f.cold_at].section != f.section) {
        throw not_understood(f.cold_at, "a function that ends in another section");
    }
    at(f.cold_at).before += cold;
}

void writer::function_entry(uint32_t id) {
    const frame& f = frames_[id];
    marker(id);
    check c{};
    c.id = id;
    c.need = need_of(cpu_, f);
    c.arguments = f.arguments;
    c.landing_pads = u_.landing_pads;
    c.has_cfi = u_.functions[id].start != k_none;
    if (c.need > k_max_frame) {
        throw not_understood(u_.functions[id].label, "a frame of more than 256 MB");
    }
    bool leaf = !f.calls && !f.dynamic && c.need <= k_leaf_frame;
    if (!leaf) entry_check(id, c);
}

// The symbol that a call of `symbol` reaches, where that can be said by another name.
uint32_t writer::called(uint32_t symbol) const {
    const split::symbol& s = u_.symbols[symbol];
    if (s.weakref_to != k_none) return s.weakref_to;
    bool private_alias = s.alias_of != k_none && s.binding == symbol_binding::local;
    return private_alias ? u_.symbols.resolve(symbol) : symbol;
}

// Renames a direct call, jump or branch.
void writer::direct(const site& s, edit& e) {
    bool private_name = u_.symbols[s.symbol].binding == symbol_binding::local;
    if (private_name && u_.entry_of(s.symbol) != k_none) return;
    uint32_t symbol = called(s.symbol);
    const split::symbol& to = u_.symbols[symbol];
    bool defined = to.label != k_none || to.type == symbol_type::ifunc;
    bool local = to.binding == symbol_binding::local && defined;
    const statement& from = u_.statements[s.statement];
    bool named = named_here(symbol);
    bool arguments = s.arguments && !named;
    foreign known = what_is_known(to.name);
    if (known.kind != foreign_kind::ordinary) return;  // by another name, as weakrefs have
    std::string target = spelled(call_prefix(arguments), to.name);
    if (!named) (local ? local_thunks_ : thunks_).insert({to.name, arguments});
    std::string text;
    if (arguments && s.kind == site_kind::branch) {
        // The operand's register may be needed where the branch is not taken.
        uint32_t id = labels_++;
        std::string stub = ".Lpirn_j";
        put(stub, id);
        put(function_end_, stub, ":\n");
        cpu_.put_argument_bytes(function_end_, s.bytes);
        cpu_.put_jump(function_end_, target);
        cpu_.put_call(text, from, stub);
    } else {
        if (arguments) cpu_.put_argument_bytes(text, s.bytes);
        cpu_.put_call(text, from, target);
    }
    e.instead = text;
    e.replaced = true;
}

void writer::site_edit(uint32_t id, const site& s) {
    switch (s.kind) {
        case site_kind::call:
        case site_kind::jump:
        case site_kind::branch:
            direct(s, at(s.statement));
            return;
        case site_kind::call_through:
        case site_kind::jump_through: {
            std::string text;
            cpu_.put_call_through(text, s.what, s.arguments, s.bytes, helpers_);
            replace(s.statement, text);
            return;
        }
        case site_kind::stack_test: {
            const function& f = u_.functions[id];
            edit& e = at(s.statement);
            cpu_.put_stack_test(e.before, e.after, u_, s.statement, f.begin, f.end, labels_++);
            return;
        }
        case site_kind::after_set_jump: {
            // Behind the landing pad that a second return comes to.
            uint32_t i = s.statement;
            for (uint32_t k = i + 1; k < u_.functions[id].end; ++k) {
                const statement& next = u_.statements[k];
                if (next.kind == statement_kind::blank) continue;
                if (next.kind == statement_kind::instruction && cpu_.is_jump_landing_pad(next)) {
                    i = k;
                }
                if (next.kind != statement_kind::directive) break;
            }
            cpu_.put_fix_limit(at(i).after);
            return;
        }
    }
}

void writer::aliases() {
    for (uint32_t symbol : u_.sets) {
        if (!named_here(symbol)) continue;
        second_names(at(u_.functions[u_.entry_of(symbol)].label).before, symbol);
    }
}

void writer::groups() {
    std::set<std::string_view> keys;
    for (const function& f : u_.functions) {
        if (!f.plain && !u_.sections[f.section].group.empty()) {
            keys.insert(u_.sections[f.section].group);
        }
    }
    if (keys.empty()) return;
    for (uint32_t i = 0; i < u_.statements.size(); ++i) {
        const statement& s = u_.statements[i];
        if (!same(s.op, ".section") && !same(s.op, ".pushsection")) continue;
        std::string_view group = split_section(s.args).group;
        if (group.empty() || !keys.contains(group)) continue;
        std::string text(s.text.substr(0, static_cast<size_t>(group.data() - s.text.data())));
        put(text, runtime_text ? "__pirn_grpr$" : "__pirn_grp$", s.text.substr(text.size()), "\n");
        replace(i, text);
    }
}

void writer::own_directives() {
    for (uint32_t i = 0; i < u_.statements.size(); ++i) {
        if (u_.statements[i].kind == statement_kind::directive &&
            begins(u_.statements[i].op, ".pirn_")) {
            replace(i, "");
        }
    }
}

// The functions of the run time go to a section of their own; what compilers think seldom used, to
// the end of it.
void writer::text_sections() {
    for (uint32_t i = 0; i < u_.statements.size(); ++i) {
        const statement& s = u_.statements[i];
        if (same(s.op, ".text")) {
            replace(i, "\t.section\tpirn_text,\"ax\",@progbits\n");
            continue;
        }
        if (!same(s.op, ".section") && !same(s.op, ".pushsection")) continue;
        section_words words = split_section(s.args);
        if (!begins(words.name, ".text")) continue;
        const edit& e = edits_[edit_of_[i]];
        std::string text = e.replaced ? e.instead : std::string(s.text) + "\n";
        size_t at = text.find(words.name);
        text.replace(at, words.name.size(), "pirn_text");
        // Without flags, the name had said that it is text.
        if (words.flags.empty()) text.insert(at + 9, ",\"ax\",@progbits");
        for (std::string_view seldom : {".text.unlikely", ".text.startup", ".text.exit"}) {
            if (words.group.empty() && words.name.starts_with(seldom)) text += "\t.subsection\t1\n";
        }
        replace(i, text);
    }
}

// Whether something but calls refers to the symbol, so that it must not become weak.
bool writer::wants_strong(uint32_t symbol) const {
    const split::symbol& s = u_.symbols[symbol];
    if (s.binding == symbol_binding::weak) return false;
    bool by_weakref = false;
    for (uint32_t i = 0; i < u_.symbols.size() && !by_weakref; ++i) {
        by_weakref = u_.symbols[i].weakref_to == symbol;
    }
    if (!by_weakref) return true;
    for (const statement& st : u_.statements) {
        if (st.kind == statement_kind::blank || same(st.op, ".weakref")) continue;
        for (size_t at = st.args.find(s.name); at != st.args.npos;
             at = st.args.find(s.name, at + 1)) {
            size_t end = at + s.name.size();
            bool starts = at == 0 || !is_name_char(st.args[at - 1]);
            if (starts && (end == st.args.size() || !is_name_char(st.args[end]))) return true;
        }
    }
    return false;
}

void writer::thunk(std::string& out, std::string_view name, bool arguments, bool local) {
    std::string_view prefix = call_prefix(arguments);
    std::string symbol = spelled(prefix, name);
    if (local) {
        put(out, "\t.text\n");
    } else {
        std::string group = "__pirn_thunk";
        group = spelled(group.append(prefix.substr(7)), name);
        put(out, "\t.section\t.text.pirn_thunk,\"axG\",@progbits,", group, ",comdat\n\t.weak\t",
            symbol, "\n\t.hidden\t", symbol, "\n");
    }
    uint32_t id = u_.symbols.find(name);
    if (!local && u_.symbols[id].label == k_none && u_.symbols[id].alias_of == k_none &&
        !wants_strong(id)) {
        put(out, "\t.weak\t", spelled("", name), "\n");
    }
    put(out, "\t.type\t", symbol, ", %function\n", symbol, ":\n");
    const bool near = local && u_.symbols[id].type != symbol_type::ifunc;
    cpu_.put_thunk(out, name, arguments, near, what_is_known(name).need, helpers_);
    put(out, "\t.size\t", symbol, ", .-", symbol, "\n");
}

void writer::thunks(std::string& out) {
    for (auto [name, arguments] : thunks_) thunk(out, name, arguments, false);
    for (auto [name, arguments] : local_thunks_) thunk(out, name, arguments, true);
    std::ranges::sort(helpers_);
    auto repeated = std::ranges::unique(helpers_);
    helpers_.erase(repeated.begin(), repeated.end());
    for (const std::string& h : helpers_) cpu_.put_helper(out, h);
}

std::string writer::run() {
    for (uint32_t id = 0; id < u_.functions.size(); ++id) {
        const function& f = u_.functions[id];
        if (f.plain) continue;
        if (f.parent == k_none) function_entry(id);
        function_end_.clear();
        for (const site& s : frames_[id].sites) site_edit(id, s);
        if (!function_end_.empty()) at(f.cold_at).before += function_end_;
    }
    aliases();
    groups();
    own_directives();
    if (runtime_text) text_sections();
    std::string out;
    out.reserve(u_.text.size() + u_.text.size() / 2);
    for (uint32_t i = 0; i < u_.statements.size(); ++i) {
        const edit& e = edits_[edit_of_[i]];
        out += e.before;
        if (e.replaced) {
            out += e.instead;
        } else {
            out += u_.statements[i].text;
            out += '\n';
        }
        out += e.after;
    }
    thunks(out);
    return out;
}

}  // namespace

std::string write(const unit& u, const cpu& c, const std::vector<frame>& frames) {
    return writer(u, c, frames).run();
}

std::string frame_list(const unit& u, const cpu& c, const std::vector<frame>& frames) {
    std::string out;
    for (uint32_t id = 0; id < u.functions.size(); ++id) {
        const function& f = u.functions[id];
        if (f.plain || f.parent != k_none) continue;
        const frame& fr = frames[id];
        put(out, u.symbols[f.name].name, " ", fr.bytes + fr.asm_bytes, " ", need_of(c, fr), " ",
            fr.arguments, " ", fr.dynamic ? 1 : 0, "\n");
    }
    return out;
}

}  // namespace split
