// SPDX-License-Identifier: MIT
// Small pieces of text handling: trimming, splitting operands, numbers, appending.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace split {

inline bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}
inline bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

inline std::string_view trim(std::string_view s) {
    while (!s.empty() && is_space(s.front())) s.remove_prefix(1);
    while (!s.empty() && is_space(s.back())) s.remove_suffix(1);
    return s;
}

// Whether c may stand in a symbol that is written without quotes. Every byte of a UTF-8 sequence
// may.
inline bool is_name_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' ||
           c == '.' || c == '$' || static_cast<unsigned char>(c) >= 0x80;
}

// Comparisons with a literal, whose length the compiler then knows.
template <size_t N>
constexpr bool begins(std::string_view s, const char (&with)[N]) {
    return s.size() >= N - 1 && __builtin_memcmp(s.data(), with, N - 1) == 0;
}
template <size_t N>
constexpr bool same(std::string_view s, const char (&as)[N]) {
    return s.size() == N - 1 && __builtin_memcmp(s.data(), as, N - 1) == 0;
}

// Takes the next comma-separated part off the front of `rest`. Commas within parentheses,
// brackets and quotes do not separate.
inline std::string_view take_part(std::string_view& rest) {
    int depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < rest.size(); ++i) {
        char c = rest[i];
        if (quoted) {
            if (c == '\\') ++i;
            if (c == '"') quoted = false;
            continue;
        }
        if (c == '"') quoted = true;
        if (c == '(' || c == '[' || c == '{') ++depth;
        if (c == ')' || c == ']' || c == '}') --depth;
        if (c == ',' && depth == 0) {
            std::string_view part = trim(rest.substr(0, i));
            rest.remove_prefix(i + 1);
            return part;
        }
    }
    std::string_view part = trim(rest);
    rest = {};
    return part;
}

// Takes the next word (up to a space) off the front of `rest`.
inline std::string_view take_word(std::string_view& rest) {
    rest = trim(rest);
    size_t i = 0;
    while (i < rest.size() && !is_space(rest[i])) ++i;
    std::string_view word = rest.substr(0, i);
    rest = trim(rest.substr(i));
    return word;
}

// A decimal or hexadecimal number with an optional sign, nothing else around it.
inline std::optional<int64_t> parse_number(std::string_view s) {
    s = trim(s);
    bool negative = false;
    if (!s.empty() && (s[0] == '-' || s[0] == '+')) {
        negative = s[0] == '-';
        s.remove_prefix(1);
    }
    int base = 10;
    if (s.size() > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
        base = 16;
        s.remove_prefix(2);
    }
    uint64_t value = 0;
    auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), value, base);
    if (s.empty() || error != std::errc{} || end != s.data() + s.size()) return std::nullopt;
    return static_cast<int64_t>(negative ? 0 - value : value);
}

// The symbol at the front of an operand, without its quotes; empty if there is none.
inline std::string_view leading_name(std::string_view s) {
    if (!s.empty() && s[0] == '"') {
        size_t end = s.find('"', 1);
        return end == s.npos ? std::string_view{} : s.substr(1, end - 1);
    }
    if (s.empty() || is_digit(s[0])) return {};
    size_t i = 0;
    while (i < s.size() && is_name_char(s[i])) ++i;
    return s.substr(0, i);
}

inline void append(std::string& out, std::string_view s) {
    out.append(s);
}
inline void append(std::string& out, char c) {
    out.push_back(c);
}
inline void append(std::string& out, int64_t n) {
    char digits[24];
    auto end = std::to_chars(digits, digits + sizeof digits, n).ptr;
    out.append(digits, static_cast<size_t>(end - digits));
}
inline void append(std::string& out, int n) {
    append(out, static_cast<int64_t>(n));
}
inline void append(std::string& out, uint32_t n) {
    append(out, static_cast<int64_t>(n));
}

// Appends every part, numbers in decimal.
template <class... Parts>
void put(std::string& out, const Parts&... parts) {
    (append(out, parts), ...);
}

}  // namespace split
