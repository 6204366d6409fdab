// SPDX-License-Identifier: MIT
// Tells from a mangled name that a function's arguments are all passed in registers.
//
// The grammar is that of the Itanium C++ ABI, "External Names"; what is rare there is not read.
#include "split/signature.h"

#include "split/text.h"

namespace split {

namespace {

enum class passed : uint8_t { nowhere, as_integer, as_pointer, as_two, as_float, unknown };

struct unreadable {};

class demangler {
  public:
    explicit demangler(std::string_view rest) : rest_(rest) {}

    // After "_Z": a name and the types of a function's parameters. Counts them if asked to.
    void encoding(bool outermost) {
        special();
        name();
        bool returns_named = template_ && !structor_;
        bool method = nested_;
        bool structor = structor_;
        if (returns_named) type();
        // `this`, and for constructors and destructors the table of virtual tables. A static
        // member function has no `this`, but its name does not say so.
        if (outermost) {
            pointers_ = (method ? 1 : 0) + (structor ? 1 : 0);
            if (rest_.empty()) throw unreadable{};  // a variable
            integers_ = 1;                          // where a class is returned to
        }
        while (!rest_.empty() && rest_[0] != 'E' && rest_[0] != '.') {
            passed how = type();
            if (!outermost) continue;
            switch (how) {
                case passed::nowhere:
                    break;
                case passed::as_integer:
                    ++integers_;
                    break;
                case passed::as_pointer:
                    ++pointers_;
                    break;
                case passed::as_two:
                    integers_ += 2;
                    break;
                case passed::as_float:
                    ++floats_;
                    break;
                case passed::unknown:
                    throw unreadable{};
            }
        }
    }
    std::string_view rest() const { return rest_; }
    int integers() const { return integers_; }
    int pointers() const { return pointers_; }
    int floats() const { return floats_; }

  private:
    bool take(char c) {
        if (rest_.empty() || rest_[0] != c) return false;
        rest_.remove_prefix(1);
        return true;
    }
    bool take(std::string_view s) {
        if (!rest_.starts_with(s)) return false;
        rest_.remove_prefix(s.size());
        return true;
    }
    void need(char c) {
        if (!take(c)) throw unreadable{};
    }
    bool next_is_digit() const { return !rest_.empty() && is_digit(rest_[0]); }
    void number() {
        take('n');
        if (!next_is_digit()) throw unreadable{};
        while (next_is_digit()) rest_.remove_prefix(1);
    }
    void sequence() {  // [digits or capitals] _
        while (!rest_.empty() && rest_[0] != '_') rest_.remove_prefix(1);
        need('_');
    }
    void source_name() {
        size_t length = 0;
        while (next_is_digit()) {
            length = length * 10 + static_cast<size_t>(rest_[0] - '0');
            rest_.remove_prefix(1);
            if (length > rest_.size()) throw unreadable{};
        }
        if (length == 0) throw unreadable{};
        rest_.remove_prefix(length);
        while (take('B')) source_name();  // ABI tags
    }
    // Thunks that adjust `this` have a prefix.
    void special() {
        if (take("Th")) {
            number();
            need('_');
        } else if (take("Tv")) {
            number();
            need('_');
            number();
            need('_');
        }
    }

    void name() {
        template_ = structor_ = nested_ = false;
        if (take('N')) {
            while (take('r') || take('V') || take('K')) {
            }
            if (!take('R')) take('O');
            do component();
            while (!rest_.empty() && rest_[0] != 'E');
            need('E');
            nested_ = true;
        } else if (take('Z')) {
            encoding(false);
            need('E');
            if (take('s')) throw unreadable{};
            name();
            nested_ = true;
            if (take('_')) number();
        } else {
            if (take("St"))
                component();
            else
                component();
            if (!rest_.empty() && rest_[0] == 'I') component();
        }
    }

    void component() {
        if (rest_.empty()) throw unreadable{};
        char c = rest_[0];
        if (c == 'I') {
            arguments();
            template_ = true;
            return;
        }
        template_ = structor_ = false;
        take('L');  // internal linkage
        if (rest_.empty()) throw unreadable{};
        c = rest_[0];
        if (is_digit(c)) {
            source_name();
        } else if (c == 'S') {
            substitution();
        } else if (c == 'T') {
            rest_.remove_prefix(1);
            sequence();
        } else if (take("Ul")) {
            while (!take('E')) type();
            sequence();
        } else if (take("Ut")) {
            sequence();
        } else if (c == 'C' || c == 'D') {
            if (rest_.size() < 2 || !is_digit(rest_[1])) throw unreadable{};
            rest_.remove_prefix(2);
            structor_ = true;
            while (take('B')) source_name();
        } else if (c >= 'a' && c <= 'z') {
            if (take("cv")) throw unreadable{};
            if (rest_.size() < 2) throw unreadable{};
            if (take("li")) {
                source_name();
            } else {
                rest_.remove_prefix(2);
            }
        } else {
            throw unreadable{};
        }
    }

    void substitution() {
        need('S');
        if (rest_.empty()) throw unreadable{};
        char c = rest_[0];
        if (c == 't' || c == 'a' || c == 'b' || c == 's' || c == 'i' || c == 'o' || c == 'd') {
            rest_.remove_prefix(1);
        } else {
            sequence();
        }
    }

    void arguments() {
        need('I');
        while (!take('E')) {
            if (take('L')) {
                if (take("_Z"))
                    encoding(false);
                else {
                    type();
                    while (!rest_.empty() && rest_[0] != 'E') rest_.remove_prefix(1);
                }
                need('E');
            } else if (take('J')) {
                while (!take('E')) type();
            } else {
                type();  // an expression (X) is not read
            }
        }
    }

    passed type() {
        if (rest_.empty() || ++depth_ > 64) throw unreadable{};
        passed how = type_inside();
        --depth_;
        return how;
    }

    passed type_inside() {
        char c = rest_[0];
        if (c == 'P' || c == 'R' || c == 'O') {
            rest_.remove_prefix(1);
            type();
            return passed::as_pointer;
        }
        if (c == 'K' || c == 'V' || c == 'r') {
            rest_.remove_prefix(1);
            return type();
        }
        if (is_digit(c) || c == 'N' || c == 'S' || c == 'T' || c == 'Z') {
            bool outer_template = template_, outer_structor = structor_, outer_nested = nested_;
            if (take("St"))
                component();
            else if (c == 'N' || c == 'Z')
                name();
            else
                component();
            if (!rest_.empty() && rest_[0] == 'I') arguments();
            template_ = outer_template;
            structor_ = outer_structor;
            nested_ = outer_nested;
            return passed::unknown;
        }
        rest_.remove_prefix(1);
        switch (c) {
            case 'v':
                return passed::nowhere;
            case 'w':
            case 'b':
            case 'a':
            case 'h':
            case 'c':
            case 's':
            case 't':
            case 'i':
            case 'j':
            case 'l':
            case 'm':
            case 'x':
            case 'y':
                return passed::as_integer;
            case 'n':
            case 'o':
                return passed::as_two;
            case 'f':
            case 'd':
                return passed::as_float;
            case 'F':
                take('Y');
                while (!take('E')) {
                    if (!take('R')) take('O');
                    if (!rest_.empty() && rest_[0] != 'E') type();
                }
                return passed::unknown;
            case 'A':
                while (next_is_digit()) rest_.remove_prefix(1);
                need('_');
                type();
                return passed::unknown;
            case 'M':
                type();
                type();
                return passed::as_two;
            case 'D':
                if (take('n')) return passed::as_integer;
                if (take('i') || take('s') || take('u')) return passed::as_integer;
                if (take('o')) return type();
                throw unreadable{};
            default:
                throw unreadable{};  // `e` and `z` among them: the stack passes them
        }
    }

    std::string_view rest_;
    int integers_ = 0, pointers_ = 0, floats_ = 0;
    int depth_ = 0;
    bool template_ = false, structor_ = false, nested_ = false;
};

}  // namespace

bool takes_only_registers(std::string_view name, int integer_registers, bool local) {
    if (name == "main" || name.starts_with("_GLOBAL__") || name == "__tls_init" ||
        name.starts_with("_ZTW") || name.starts_with("_ZTH")) {
        return true;
    }
    if (!name.starts_with("_Z")) return false;
    demangler d(name.substr(2));
    try {
        d.encoding(true);
    } catch (unreadable) {
        return false;
    }
    std::string_view suffix = d.rest();
    // Clones with fewer parameters, or with the same; others may have more.
    if (!suffix.empty() && !suffix.starts_with(".constprop.") &&
        !suffix.starts_with(".lto_priv.") && !suffix.starts_with(".llvm.")) {
        return false;
    }
    if (suffix.find(".isra") != suffix.npos || suffix.find(".part") != suffix.npos) return false;
    int pointers = d.pointers() * (local ? 3 : 1);
    return d.integers() + pointers <= integer_registers && d.floats() <= 8;
}

}  // namespace split
