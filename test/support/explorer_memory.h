// SPDX-License-Identifier: MIT
// Memory as the explorer has it: each location's values, and what a thread has seen of them.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace pirn::model {

inline constexpr int k_most_locations = 48;

// For each location the index of a value: the oldest that may still be read.
struct view {
    std::array<std::uint8_t, k_most_locations> at{};
    void join(const view& other) {
        for (std::size_t i = 0; i < at.size(); ++i) at[i] = std::max(at[i], other.at[i]);
    }
    bool is_within(const view& other) const {
        bool within = true;
        for (std::size_t i = 0; i < at.size(); ++i) within &= at[i] <= other.at[i];
        return within;
    }
};

struct message {
    std::uint64_t value = 0;
    view seen;  // what an acquire that reads it takes over
};

struct location {
    std::vector<message> messages;  // oldest first
    const char* name = nullptr;
    bool newest_only = false;
};

inline bool acquires(std::memory_order order) {
    return order == std::memory_order_acquire || order == std::memory_order_acq_rel ||
           order == std::memory_order_seq_cst;
}
inline bool releases(std::memory_order order) {
    return order == std::memory_order_release || order == std::memory_order_acq_rel ||
           order == std::memory_order_seq_cst;
}

}  // namespace pirn::model
