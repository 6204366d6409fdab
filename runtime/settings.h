// SPDX-License-Identifier: MIT
// PIRN_DEBUG: settings that change what a program tells of itself.
#pragma once

#include <string_view>

namespace pirn::rt {

// What PIRN_DEBUG="name=1,other=strict" gives to a name; empty where it gives nothing.
std::string_view debug_setting(std::string_view name);

}  // namespace pirn::rt
