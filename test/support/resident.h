// SPDX-License-Identifier: MIT
// How much memory the process has, for tests that compare before and after.
#pragma once

#include <cstdio>

#include <unistd.h>

namespace pirn::test {

// Resident bytes; 0 where that cannot be told.
inline long resident_bytes() {
    long size = 0, resident = 0;
    std::FILE* f = std::fopen("/proc/self/statm", "re");
    if (f != nullptr) {
        if (std::fscanf(f, "%ld %ld", &size, &resident) != 2) resident = 0;
        std::fclose(f);
    }
    return resident * ::sysconf(_SC_PAGESIZE);
}

}  // namespace pirn::test
