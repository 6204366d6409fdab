// SPDX-License-Identifier: MIT
// The end of a primitive: nobody may wait for it.
#pragma once

namespace pirn::sync {

// Fatal if somebody waits on the key: "sync: WHAT destroyed while somebody waits for it".
void check_nobody_waits(const void* key, const char* what);

}  // namespace pirn::sync
