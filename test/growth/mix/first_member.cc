// SPDX-License-Identifier: MIT
// One member of an archive.
#include "test/growth/mix/mixed.h"

namespace mixed {

int first_member(int n) {
    volatile char room[3000];
    for (volatile char& c : room) c = 1;
    return chain(n) + room[2999];
}

}  // namespace mixed
