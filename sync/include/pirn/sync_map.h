// SPDX-License-Identifier: MIT
// sync_map: a hash table that goroutines and threads use at the same time, with the operations of
// Go's sync.Map.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <pirn/mutex.h>

namespace pirn {

// Each operation but range and clear is atomic, and what happens before one that writes a value is
// visible after one that reads it. Values are copied out under the lock of a part of the table:
// for large ones take a shared_ptr. K's hash and equality and the copies of K and V must not use
// the map; whatever destroys a value may.
template <class K, class V, class Hash = std::hash<K>, class Equal = std::equal_to<K>>
class sync_map {
  public:
    sync_map() = default;
    explicit sync_map(Hash hash, Equal equal = {})
        : hash_(std::move(hash)), equal_(std::move(equal)) {}
    sync_map(const sync_map&) = delete;
    sync_map& operator=(const sync_map&) = delete;
    ~sync_map() {
        for (part& p : parts_) free_all(std::move(p.buckets));
    }

    // The key's value; nothing if it has none.
    std::optional<V> load(const K& key) const {
        const place at = find_part(key);
        const std::lock_guard hold(at.in.mu);
        const node* n = find(at, key);
        return n != nullptr ? std::optional<V>(n->value) : std::nullopt;
    }

    void store(K key, V value) { swap(std::move(key), std::move(value)); }

    // The value that the key has; if it has none, it gets this one, which is returned as well. The
    // second is true in the first case.
    std::pair<V, bool> load_or_store(K key, V value) {
        const place at = find_part(key);
        const std::lock_guard hold(at.in.mu);
        if (const node* n = find(at, key)) return {n->value, true};
        std::pair<V, bool> result(value, false);
        add(at, std::move(key), std::move(value));
        return result;
    }

    // Takes the key away, and returns its value if it had one.
    std::optional<V> load_and_delete(const K& key) {
        std::unique_ptr<node> taken = take(key, [](const V&) { return true; });
        return taken != nullptr ? std::optional<V>(std::move(taken->value)) : std::nullopt;
    }
    // True: it was there.
    bool erase(const K& key) { return take(key, [](const V&) { return true; }) != nullptr; }

    // Gives the key this value; returns the one it had.
    std::optional<V> swap(K key, V value) {
        const place at = find_part(key);
        const std::lock_guard hold(at.in.mu);
        node* n = find(at, key);
        if (n == nullptr) {
            add(at, std::move(key), std::move(value));
            return std::nullopt;
        }
        return std::exchange(n->value, std::move(value));
    }

    // Gives the key this value if it has one that equals `old`. True: it had.
    bool compare_and_swap(const K& key, const V& old, V value) {
        const place at = find_part(key);
        // `value` has the former one then, which is destroyed after the lock is free.
        const std::lock_guard hold(at.in.mu);
        node* n = find(at, key);
        if (n == nullptr || !(n->value == old)) return false;
        std::swap(n->value, value);
        return true;
    }
    // Takes the key away if it has a value that equals `old`. True: it had.
    bool compare_and_delete(const K& key, const V& old) {
        return take(key, [&old](const V& value) { return value == old; }) != nullptr;
    }

    // Calls f(key, value), which may use the map, for each key until f returns false (f may return
    // nothing). No snapshot: a key is visited once at the most, with a value that it has had since
    // range began; what is stored or deleted meanwhile may or may not be seen.
    template <class F>
    void range(F f) const {
        std::vector<std::pair<K, V>> copies;
        for (part& p : parts_) {
            copies.clear();
            {
                const std::lock_guard hold(p.mu);
                copies.reserve(p.size);
                for (const auto& first : p.buckets)
                    for (const node* n = first.get(); n != nullptr; n = n->next.get())
                        copies.emplace_back(n->key, n->value);
            }
            for (auto& [key, value] : copies) {
                if constexpr (std::is_void_v<std::invoke_result_t<F&, const K&, V&>>)
                    std::invoke(f, std::as_const(key), value);
                else if (!std::invoke(f, std::as_const(key), value))
                    return;
            }
        }
    }

    // Takes every key away, one part of the table after the other.
    void clear() {
        for (part& p : parts_) {
            chains taken;
            {
                const std::lock_guard hold(p.mu);
                taken.swap(p.buckets);
                p.size = 0;
            }
            free_all(std::move(taken));
        }
    }

  private:
    struct node {
        K key;
        V value;
        std::uint64_t hash;
        std::unique_ptr<node> next;
    };
    using chains = std::vector<std::unique_ptr<node>>;   // as many as a power of two, or none

    // The part of the table that some of the hashes fall into.
    struct alignas(64) part {
        mutex mu;
        // Guarded by mu.
        std::size_t size = 0;
        chains buckets;
    };
    // Where a key belongs.
    struct place {
        part& in;
        std::uint64_t hash;
    };
    static constexpr std::size_t k_parts = 32, k_part_bits = 5;

    place find_part(const K& key) const {
        // Multiplied, because std::hash of a number is the number (Fibonacci hashing). The upper
        // bits choose the part, those below them the bucket.
        const std::uint64_t h = std::uint64_t{hash_(key)} * 0x9e3779b97f4a7c15u;
        return {parts_[h >> (64 - k_part_bits)], h};
    }
    static std::size_t bucket_of(std::uint64_t hash, const chains& buckets) {
        return (hash >> 24) & (buckets.size() - 1);
    }

    // All with the part's lock held.
    std::unique_ptr<node>* find_link(const place& at, const K& key) const {
        if (at.in.buckets.empty()) return nullptr;
        std::unique_ptr<node>* link = &at.in.buckets[bucket_of(at.hash, at.in.buckets)];
        while (*link != nullptr && !((*link)->hash == at.hash && equal_((*link)->key, key)))
            link = &(*link)->next;
        return *link != nullptr ? link : nullptr;
    }
    node* find(const place& at, const K& key) const {
        const auto* link = find_link(at, key);
        return link != nullptr ? link->get() : nullptr;
    }
    void add(const place& at, K&& key, V&& value) {
        part& p = at.in;
        if (p.size >= p.buckets.size()) grow(p);
        auto n = std::unique_ptr<node>(
            new node{std::move(key), std::move(value), at.hash, nullptr});
        auto& first = p.buckets[bucket_of(at.hash, p.buckets)];
        n->next = std::move(first);
        first = std::move(n);
        ++p.size;
    }
    static void grow(part& p) {
        chains larger(p.buckets.empty() ? 4 : 2 * p.buckets.size());
        for (auto& first : p.buckets) {
            while (first != nullptr) {
                std::unique_ptr<node> n = std::move(first);
                first = std::move(n->next);
                auto& to = larger[bucket_of(n->hash, larger)];
                n->next = std::move(to);
                to = std::move(n);
            }
        }
        p.buckets = std::move(larger);
    }

    // Takes the key's node out if its value is the right one.
    template <class Right>
    std::unique_ptr<node> take(const K& key, Right right) {
        const place at = find_part(key);
        const std::lock_guard hold(at.in.mu);
        std::unique_ptr<node>* link = find_link(at, key);
        if (link == nullptr || !right(std::as_const((*link)->value))) return nullptr;
        std::unique_ptr<node> taken = std::move(*link);
        *link = std::move(taken->next);
        --at.in.size;
        return taken;
    }
    // One after the other: a chain's own destruction would go as deep as it is long.
    static void free_all(chains buckets) {
        for (auto& first : buckets)
            while (first != nullptr) first = std::exchange(first->next, nullptr);
    }

    [[no_unique_address]] Hash hash_{};
    [[no_unique_address]] Equal equal_{};
    mutable part parts_[k_parts];
};

}  // namespace pirn
