// SPDX-License-Identifier: MIT
// The personality of a goroutine's first frame: the place where an exception that nobody handles
// is seen while the thrower's frames still stand.
#include <unwind.h>

#include "arch/arch.h"
#include "runtime/base/atomic.h"

namespace pirn::arch {
namespace {
base::atomic<uncaught_hook> hook{nullptr};
}

void set_uncaught_hook(uncaught_hook h) {
    // ORD(uncaught-hook): release; pairs with the acquire in __pirn_entry_personality.
    hook.store(h, std::memory_order_release);
}

extern "C" [[gnu::visibility("hidden")]] _Unwind_Reason_Code __pirn_entry_personality(
    int version, _Unwind_Action actions, _Unwind_Exception_Class, _Unwind_Exception* exception,
    _Unwind_Context*) {
    if (version != 1) return _URC_FATAL_PHASE1_ERROR;
    if ((actions & _UA_SEARCH_PHASE) != 0) {
        // ORD(uncaught-hook): acquire; pairs with the release in set_uncaught_hook.
        if (auto* h = hook.load(std::memory_order_acquire)) h(exception);
    }
    return _URC_CONTINUE_UNWIND;
}

}  // namespace pirn::arch
