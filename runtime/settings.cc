// SPDX-License-Identifier: MIT
// Reading PIRN_DEBUG.
#include "runtime/settings.h"

#include <cstdlib>
#include <cstring>

namespace pirn::rt {

long debug_setting(const char* name, long otherwise) {
    const char* at = std::getenv("PIRN_DEBUG");
    const std::size_t length = std::strlen(name);
    while (at != nullptr && *at != '\0') {
        if (std::strncmp(at, name, length) == 0 && at[length] == '=')
            return std::strtol(at + length + 1, nullptr, 10);
        at = std::strchr(at, ',');
        if (at != nullptr) ++at;
    }
    return otherwise;
}

}  // namespace pirn::rt
