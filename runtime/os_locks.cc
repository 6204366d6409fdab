// SPDX-License-Identifier: MIT
// A goroutine parks with its object locked (park.h), where nothing can be printed. So it leaves a
// note of the way that led it there, and the M goes to g0, which prints it after the unlock.
//
// Notes are never given back: one for each way, up to so many that more would say nothing. A wait
// of a thread, in a blocking region, is none of this: std::condition_variable gives its mutex free.
#include "runtime/os_locks.h"

#if defined(PIRN_CHECKS) && defined(PIRN_SPLIT)

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string_view>

#include <unwind.h>

#include "runtime/base/check.h"
#include "runtime/base/seen_keys.h"
#include "runtime/g.h"
#include "runtime/sched.h"
#include "runtime/symbol.h"

namespace pirn::rt {

namespace {

constexpr int k_frames = 8;   // of the user's, the innermost, that tell two ways apart
constexpr std::size_t k_notes = 64;

}  // namespace

// What is known of one that parked: the goroutine may have ended by the time it is printed.
struct lock_holder {
    int count = 0;
    const void* frames[k_frames] = {};
    std::uint64_t id = 0;
    std::uint32_t locks = 0;
    wait_reason reason = wait_reason::none;
    bool is_main = false;
    const void* entry = nullptr;
    char name[64] = {};
};

namespace {

constinit base::seen_keys<k_notes> ways, places;
constinit lock_holder notes[k_notes];

_Unwind_Reason_Code visit_frame(_Unwind_Context* context, void* arg) {
    auto* h = static_cast<lock_holder*>(arg);
    const auto pc = _Unwind_GetIP(context);
    if (pc == 0 || h->count == k_frames) return _URC_END_OF_STACK;
    // A return address belongs to the call before it.
    const auto* at = reinterpret_cast<const void*>(pc - 1);
    if (!in_runtime_text(at)) h->frames[h->count++] = at;
    return _URC_NO_REASON;
}

std::uintptr_t hash_of(const lock_holder& h) {
    std::uint64_t hash = 1;
    for (int i = 0; i < h.count; ++i)
        hash = (hash ^ reinterpret_cast<std::uintptr_t>(h.frames[i])) * 0x9e3779b97f4a7c15u;
    return hash | 1;   // 0 is none
}

// Whether a function is of namespace pirn: a template of ours, in the user's text. Before its name
// may come what it returns.
bool is_ours(std::string_view function) {
    std::size_t begin = 0;
    int depth = 0;
    for (std::size_t i = 0; i < function.size(); ++i) {
        const char c = function[i];
        if (c == '(' && depth == 0) break;
        if (c == '<') ++depth;
        if (c == '>') --depth;
        if (c == ' ' && depth == 0) begin = i + 1;
    }
    return function.substr(begin).starts_with("pirn::");
}

}  // namespace

[[gnu::noinline]] lock_holder* note_lock_holder(const g* gp, wait_reason reason) {
    lock_holder h;
    _Unwind_Backtrace(visit_frame, &h);
    if (h.count == 0) return nullptr;
    const std::size_t place = ways.add(hash_of(h));
    if (place == k_notes) return nullptr;
    h.id = gp->id;
    h.locks = gp->os_locks;
    h.reason = reason;
    h.is_main = gp->is_main;
    h.entry = gp->entry;
    std::memcpy(h.name, gp->name, std::min<std::size_t>(gp->name_bytes, sizeof h.name - 1));
    notes[place] = h;
    return &notes[place];
}

void report_lock_holder(lock_holder* h) {
    // The place is the innermost call that is the user's own. Where all are templates of ours, with
    // the user's inlined into the outermost, it is in there.
    char site[512];
    int at = 0;
    do {
        describe_address(h->frames[at], site, sizeof site);
    } while (is_ours(site) && ++at < h->count);
    at = std::min(at, h->count - 1);
    if (places.add(reinterpret_cast<std::uintptr_t>(h->frames[at])) == k_notes) return;
    char who[256];
    if (h->name[0] != '\0')
        std::snprintf(who, sizeof who, "\"%s\"", h->name);
    else if (h->is_main)
        std::snprintf(who, sizeof who, "the main function");
    else
        describe_address(h->entry, who, sizeof who);
    base::report("pirn: warning: goroutine %lu (%s) waits [%s] at %p in %s while it holds %s: who "
                 "wants that keeps a thread waiting as long; a pirn::mutex does not\n",
                 static_cast<unsigned long>(h->id), who, wait_reason_name(h->reason),
                 h->frames[at], site,
                 h->locks == 1 ? "a lock of the operating system"
                               : "locks of the operating system");
}

}  // namespace pirn::rt

#else

namespace pirn::rt {

lock_holder* note_lock_holder(const g*, wait_reason) { return nullptr; }
void report_lock_holder(lock_holder*) {}

}  // namespace pirn::rt

#endif
