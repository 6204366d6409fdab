// SPDX-License-Identifier: MIT
// What the subjects ask of a CPU: to look at all registers around a call, which only assembly can
// (<cpu>/snapshot.S), and what is promised of arguments.
#pragma once

#include <cstddef>
#include <span>

namespace growth {

// What the registers hold; which byte is in which one is the kind's business.
struct snapshot {
    unsigned char bytes[3072];
};

// One way to look: the registers of a set of instructions.
struct snapshot_kind {
    std::size_t bytes;   // of a snapshot that take uses
    // Loads the registers from the bytes, calls f, and stores the registers there.
    void (*take)(void (*f)(), unsigned char* bytes);
};

// Those that this CPU has.
std::span<const snapshot_kind> snapshot_kinds();

// A structure that is passed by value lies as aligned as its type says, up to this. Where it is
// passed by reference to a copy, gcc aligns the copy as it aligns any argument.
int alignment_by_value();

}  // namespace growth
