// SPDX-License-Identifier: MIT
// The personalities of the frames that assembly makes: a goroutine's first frame, the place where
// an exception that nobody handles is seen while the thrower's frames still stand; and a hop.
#include <dlfcn.h>
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

namespace {

// A binary search table of .eh_frame_hdr, as every linker writes it.
struct frame_table {
    std::uint8_t version, pointer_encoding, count_encoding, table_encoding;
    std::int32_t eh_frame;
    std::uint32_t count;
    struct entry {
        std::int32_t function, fde;  // from the beginning of the table's section on
    } entries[];
};

// What an FDE begins with, with pointers relative to themselves in four bytes.
struct frame_description {
    std::uint32_t bytes;
    std::uint32_t cie;
    std::int32_t function;
    std::uint32_t function_bytes;
};

}  // namespace

bool is_growing_text(const void* address) {
    constexpr std::uint8_t k_udata4 = 0x03, k_datarel_sdata4 = 0x3b;
    dl_find_object object;
    if (::_dl_find_object(const_cast<void*>(address), &object) != 0) return false;
    const auto* table = static_cast<const frame_table*>(object.dlfo_eh_frame);
    if (table == nullptr || table->version != 1 || table->count_encoding != k_udata4 ||
        table->table_encoding != k_datarel_sdata4)
        return false;
    const char* base = static_cast<const char*>(object.dlfo_eh_frame);
    const std::ptrdiff_t at = static_cast<const char*>(address) - base;
    // The last function that begins at or before the address.
    std::uint32_t from = 0, to = table->count;
    while (from < to) {
        const std::uint32_t middle = from + (to - from) / 2;
        if (table->entries[middle].function <= at)
            from = middle + 1;
        else
            to = middle;
    }
    if (from == 0) return false;
    const frame_table::entry& e = table->entries[from - 1];
    const auto* fde = reinterpret_cast<const frame_description*>(base + e.fde);
    if (at >= e.function + static_cast<std::ptrdiff_t>(fde->function_bytes)) return false;
    const char* entry = base + e.function;
    if (entry - static_cast<const char*>(object.dlfo_map_start) < 4) return false;
    std::uint32_t word;
    __builtin_memcpy(&word, entry - sizeof word, sizeof word);
    return word == PIRN_MARKER;
}

constinit thread_local growing_thread* __pirn_thread = nullptr;
std::size_t __pirn_allocation_bytes = k_foreign_bytes;
bool __pirn_new_is_malloc = false;
void (*__pirn_add_segment)(std::size_t, const void*, const void*) = nullptr;
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
