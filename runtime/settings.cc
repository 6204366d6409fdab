// SPDX-License-Identifier: MIT
// Reading PIRN_DEBUG.
#include "runtime/settings.h"

#include <cstdlib>

namespace pirn::rt {

std::string_view debug_setting(std::string_view name) {
    const char* all = std::getenv("PIRN_DEBUG");
    std::string_view rest = all != nullptr ? all : "";
    while (!rest.empty()) {
        const std::string_view one = rest.substr(0, rest.find(','));
        rest.remove_prefix(one.size() < rest.size() ? one.size() + 1 : one.size());
        if (one.starts_with(name) && one.substr(name.size()).starts_with('='))
            return one.substr(name.size() + 1);
    }
    return {};
}

}  // namespace pirn::rt
