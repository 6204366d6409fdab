// SPDX-License-Identifier: MIT
// Brings in <regex>, whose matcher is deeply recursive.
#include <regex>
#include <string>

std::string replaced(const std::string& text) {
    std::regex word("(a|b)*c+([0-9]{2,4})x?");
    std::smatch match;
    if (!std::regex_search(text, match, word)) return {};
    return std::regex_replace(text, word, "<$2>") + match[1].str();
}
