// SPDX-License-Identifier: MIT
// Another member of the archive.
#include "test/growth/mix/mixed.h"

namespace mixed {

int second_member(int n) {
    volatile char room[3000];
    for (volatile char& c : room) c = 1;
    return first_member(n) + room[2999];
}

}  // namespace mixed
