// SPDX-License-Identifier: MIT
// The explicit instance that the others refer to.
#include "test/growth/mix/mixed.h"

namespace mixed {
template struct instance<int>;
}  // namespace mixed
