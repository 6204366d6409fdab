// SPDX-License-Identifier: MIT
// PIRN_DEBUG: settings that change what a program tells of itself.
#pragma once

namespace pirn::rt {

// The number that PIRN_DEBUG="name=1,other=2" gives to a name; `otherwise` where it has none.
long debug_setting(const char* name, long otherwise);

}  // namespace pirn::rt
