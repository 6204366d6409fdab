// SPDX-License-Identifier: MIT
// The end of a primitive. That of a global or static one is left alone: it is destroyed when the
// process exits, and those who wait for it then wait for ever, which is no mistake. There is no way
// to ask whether exit() has begun, but one to tell where an object lies.
#include "sync/destroyed.h"

#include <cstddef>
#include <cstdint>

#include <link.h>

#include "runtime/base/check.h"
#include "runtime/sema.h"

namespace pirn::sync {
namespace {

bool is_static(const void* object) {
    auto address = reinterpret_cast<std::uintptr_t>(object);
    return ::dl_iterate_phdr(
               [](dl_phdr_info* loaded, std::size_t, void* arg) {
                   const std::uintptr_t at = *static_cast<std::uintptr_t*>(arg) - loaded->dlpi_addr;
                   for (int i = 0; i < loaded->dlpi_phnum; ++i) {
                       const auto& segment = loaded->dlpi_phdr[i];
                       if (segment.p_type == PT_LOAD && at - segment.p_vaddr < segment.p_memsz)
                           return 1;
                   }
                   return 0;
               },
               &address) != 0;
}

}  // namespace

void check_nobody_waits(const void* key, const char* what) {
    if (rt::sema_waiting(key) != 0 && !is_static(key))
        base::fatalf("sync: %s destroyed while somebody waits for it", what);
}

}  // namespace pirn::sync
