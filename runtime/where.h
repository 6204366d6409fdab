// SPDX-License-Identifier: MIT
// Where the caller runs: on which P, in which run. For what the layers above keep for each P, and
// for what must not survive a run.
#pragma once

#include <cstdint>

namespace pirn::rt {

inline constexpr std::uint32_t k_no_p = ~std::uint32_t{0};

// The number of the caller's P, below 1024; k_no_p where it has none: on foreign threads, in
// blocking regions, when the run ends. Nobody else has that number until the caller parks, enters a
// region or runs the user's code: our own text is not made to give way. What one caller did with
// the things of a number is visible to the next that has it, also in a later run.
std::uint32_t current_p();

// Counts the runs begun so far: tells what belongs to an earlier one, whose goroutines are gone.
std::uint64_t run_number();

}  // namespace pirn::rt
