// SPDX-License-Identifier: MIT
// The personalities of the frames that assembly makes: a goroutine's first frame, the place where
// an exception that nobody handles is seen while the thrower's frames still stand; and a hop.
#include <link.h>
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

bool is_text(const void* address) {
    // Asked for the same few addresses again and again, if at all.
    static base::atomic<const void*> last_found{nullptr};
    if (last_found.load(std::memory_order_relaxed) == address) return true;
    const auto at = reinterpret_cast<std::uintptr_t>(address);
    const int found = ::dl_iterate_phdr(
        [](dl_phdr_info* object, std::size_t, void* arg) {
            const auto at = *static_cast<const std::uintptr_t*>(arg);
            for (int i = 0; i < object->dlpi_phnum; ++i) {
                const auto& part = object->dlpi_phdr[i];
                const std::uintptr_t from = object->dlpi_addr + part.p_vaddr;
                if (part.p_type == PT_LOAD && (part.p_flags & PF_X) != 0 && at >= from &&
                    at < from + part.p_memsz)
                    return 1;
            }
            return 0;
        },
        const_cast<std::uintptr_t*>(&at));
    if (found != 0) last_found.store(address, std::memory_order_relaxed);
    return found != 0;
}

constinit thread_local growing_thread* __pirn_thread = nullptr;
std::size_t __pirn_allocation_bytes = k_foreign_bytes;
bool __pirn_new_is_malloc = false;
void (*__pirn_add_segment)(std::size_t, const void*) = nullptr;
void (*__pirn_alloca_report)(const void*) = nullptr;

extern "C" [[gnu::visibility("hidden")]] _Unwind_Reason_Code __pirn_entry_personality(
    int version, _Unwind_Action actions, _Unwind_Exception_Class, _Unwind_Exception* exception,
    _Unwind_Context*) {
    PIRN_PLAIN();
    if (version != 1) return _URC_FATAL_PHASE1_ERROR;
    if ((actions & _UA_SEARCH_PHASE) != 0) {
        // ORD(uncaught-hook): acquire; pairs with the release in set_uncaught_hook.
        if (auto* h = hook.load(std::memory_order_acquire)) h(exception);
    }
    return _URC_CONTINUE_UNWIND;
}

// An unwinding passes a hop: its segment is given back. The unwinder itself still runs on it, which
// is sound because nothing on this thread hops until it has gone on in a frame below: until then
// the limit word, which belongs to the stack below already, must not be compared with anything.
extern "C" [[gnu::visibility("hidden")]] _Unwind_Reason_Code __pirn_hop_personality(
    int version, _Unwind_Action actions, _Unwind_Exception_Class, _Unwind_Exception*,
    _Unwind_Context*) {
    PIRN_PLAIN();
    if (version != 1) return _URC_FATAL_PHASE1_ERROR;
    if ((actions & _UA_CLEANUP_PHASE) == 0) return _URC_CONTINUE_UNWIND;
    set_limit(0);
    growing_thread* thread = __pirn_thread;
    growth* g = thread->running;
    leave_hop(*g, *thread);
    set_limit(g->limit);
    return _URC_CONTINUE_UNWIND;
}

}  // namespace pirn::arch
