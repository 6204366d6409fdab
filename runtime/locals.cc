// SPDX-License-Identifier: MIT
// goroutine_local: the values of one goroutine, and which object each belongs to.
//
// Each goroutine_local has a slot, a small number that is given to another one when it is gone, and
// an id, which is not. A goroutine has an array with the newest value of each slot, so that a
// lookup is an index and a compare of ids, and a list of all its values in the order in which they
// were made, so that a value whose slot has gone to another goroutine_local is still destroyed at
// the goroutine's end.
//
// A thread that runs no goroutine has the same in a pthread key, whose destructor runs at its end.
//
// Rejected: a hash table of each goroutine (a lookup is several times an index); values in the
// goroutine_local, by goroutine (every lookup takes its lock).
#include "runtime/locals.h"

#include <cstring>

#include <pthread.h>

#include "runtime/base/alloc.h"
#include "runtime/base/check.h"
#include "runtime/fork.h"
#include "runtime/lock.h"
#include "runtime/m.h"
#include "runtime/self.h"

namespace pirn::rt {

using detail::local_value;

// What a goroutine or a thread has. Owned by it.
struct local_table {
    local_value* last = nullptr;      // made last, and from there on in reverse
    std::uint32_t size = 0;
    local_value** slots = nullptr;    // by slot: the newest
};

namespace {

// The slots of goroutine_locals that are gone, and how much was ever given out.
struct registry {
    lock mu{lock_rank::leaf};
    // Guarded by mu.
    std::uint64_t ids = 0;
    std::uint32_t slots = 0;
    detail::local_slot* free = nullptr;
};
constinit registry all;

void end_table(local_table* t) {
    // What a destructor makes is destroyed too; destructors that go on making each other's values
    // would never end.
    constexpr std::uint32_t k_most_made = 10'000;
    std::uint32_t made = 0;
    while (local_value* v = t->last) {
        const local_value* before = t->last;
        v->destroy(v->object);
        // Found under its slot until here, for what its destructor calls.
        if (t->last != before && ++made == k_most_made)
            base::fatal("goroutine_local: destructors of values make values again and again");
        local_value** at = &t->last;
        while (*at != v) at = &(*at)->made_before;
        *at = v->made_before;
        if (t->slots[v->slot] == v) t->slots[v->slot] = nullptr;
        base::deallocate(v);
    }
    base::deallocate(t->slots);
    base::destroy(t);
}

// The calling thread's table, for a thread that runs no goroutine.
pthread_key_t thread_key() {
    static const pthread_key_t key = [] {
        pthread_key_t k;
        // The table stands in the key again while it is ended, for the destructors of its values.
        const int failed = ::pthread_key_create(&k, [](void* t) {
            ::pthread_setspecific(thread_key(), t);
            end_table(static_cast<local_table*>(t));
            ::pthread_setspecific(thread_key(), nullptr);
        });
        if (failed != 0) base::fatalf("goroutine_local: pthread_key_create failed: %d", failed);
        return k;
    }();
    return key;
}

g* current_goroutine() {
    m* mp = self();
    return mp != nullptr ? mp->cur() : nullptr;
}

// The caller's table; null when it has none yet.
local_table* own_table(const g* gp) {
    if (gp != nullptr) return gp->locals;
    return static_cast<local_table*>(::pthread_getspecific(thread_key()));
}

local_table* make_table(g* gp) {
    auto* t = base::make<local_table>();
    if (gp != nullptr)
        gp->locals = t;
    else
        ::pthread_setspecific(thread_key(), t);
    return t;
}

void grow(local_table* t, std::uint32_t slot) {
    std::uint32_t size = t->size == 0 ? 8 : t->size;
    while (size <= slot) size *= 2;
    auto** slots = static_cast<local_value**>(base::allocate(size * sizeof(local_value*)));
    std::memset(slots, 0, size * sizeof(local_value*));
    if (t->size != 0) std::memcpy(slots, t->slots, t->size * sizeof(local_value*));
    base::deallocate(t->slots);
    t->slots = slots;
    t->size = size;
}

}  // namespace

// The list itself is whole: each change to it is one store.
void forget_local_lock() { ::new (&all.mu) lock(lock_rank::leaf); }

void end_locals() {
    g* gp = current_goroutine();
    end_table(gp->locals);
    // A destructor may have parked: it is the same goroutine, perhaps on another thread.
    gp->locals = nullptr;
}

}  // namespace pirn::rt

namespace pirn::detail {

using namespace rt;

local_key::local_key() {
    {
        lock_guard hold(all.mu);
        id_ = ++all.ids;
        slot_ = all.free;
        if (slot_ != nullptr) {
            all.free = slot_->next_free;
            return;
        }
    }
    slot_ = base::make<local_slot>();
    lock_guard hold(all.mu);
    slot_->number = all.slots++;
}

local_key::~local_key() {
    lock_guard hold(all.mu);
    slot_->next_free = all.free;
    all.free = slot_;
}

void* local_key::find() const {
    const local_table* t = own_table(current_goroutine());
    const std::uint32_t slot = slot_->number;
    if (t == nullptr || slot >= t->size) return nullptr;
    const local_value* v = t->slots[slot];
    return v != nullptr && v->owner == id_ ? v->object : nullptr;
}

local_value* local_key::prepare(std::size_t bytes, std::size_t align) const {
    const std::size_t at = (sizeof(local_value) + align - 1) / align * align;
    constexpr std::size_t k_least = alignof(std::max_align_t);
    void* memory = base::allocate(at + bytes, align < k_least ? k_least : align);
    auto* v = ::new (memory) local_value;
    v->owner = id_;
    v->slot = slot_->number;
    v->object = static_cast<char*>(memory) + at;
    return v;
}

void local_key::keep(local_value* v) const {
    g* gp = current_goroutine();
    local_table* t = own_table(gp);
    if (t == nullptr) t = make_table(gp);
    if (v->slot >= t->size) grow(t, v->slot);
    v->made_before = t->last;
    t->last = v;
    t->slots[v->slot] = v;
}

void local_key::drop(local_value* v) noexcept { base::deallocate(v); }

}  // namespace pirn::detail
