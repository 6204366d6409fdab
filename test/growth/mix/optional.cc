// SPDX-License-Identifier: MIT
// The function that the others only refer to weakly.
#include "test/growth/mix/mixed.h"

extern "C" int mixed::mixed_maybe(int x) { return chain(10) + x; }
