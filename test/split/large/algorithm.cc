// SPDX-License-Identifier: MIT
// Brings in algorithms, containers and smart pointers with classes that must be destroyed.
#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

long sorted(std::vector<std::string>& words) {
    std::ranges::sort(words);
    std::stable_sort(words.begin(), words.end(), std::greater<>());
    std::map<std::string, std::unique_ptr<std::vector<long>>> by_word;
    for (const auto& w : words) {
        auto& list = by_word[w];
        if (!list) list = std::make_unique<std::vector<long>>();
        list->push_back(static_cast<long>(w.size()));
    }
    std::function<long(long)> twice = [&](long n) { return n * 2 + by_word.size(); };
    return std::accumulate(by_word.begin(), by_word.end(), 0L, [&](long n, const auto& entry) {
        return n + twice(std::reduce(entry.second->begin(), entry.second->end()));
    });
}
