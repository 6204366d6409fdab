// SPDX-License-Identifier: MIT
// sync_map: Y28, after the tests of Go's sync.Map.
#include <pirn/sync_map.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "test/chan/verdict.h"

using namespace pirn::test;

TEST_CASE("Y28 each operation does what Go's does") {
    in_run([](verdict& v) {
        pirn::sync_map<std::string, int> m;
        EXPECT(m.load("a") == std::nullopt);
        m.store("a", 1);
        EXPECT(m.load("a") == 1);
        m.store("a", 2);
        EXPECT(m.load("a") == 2);
        EXPECT((m.load_or_store("a", 3) == std::pair(2, true)));
        EXPECT((m.load_or_store("b", 3) == std::pair(3, false)));
        EXPECT(m.swap("b", 4) == 3);
        EXPECT(m.swap("c", 5) == std::nullopt);
        EXPECT(!m.compare_and_swap("c", 4, 6) && m.load("c") == 5);
        EXPECT(m.compare_and_swap("c", 5, 6) && m.load("c") == 6);
        EXPECT(!m.compare_and_swap("none", 0, 6) && m.load("none") == std::nullopt);
        EXPECT(!m.compare_and_delete("c", 5) && m.compare_and_delete("c", 6));
        EXPECT(!m.compare_and_delete("c", 6) && m.load("c") == std::nullopt);
        EXPECT(m.load_and_delete("b") == 4);
        EXPECT(m.load_and_delete("b") == std::nullopt);
        EXPECT(m.erase("a") && !m.erase("a"));
        m.range([&](const std::string&, int) { EXPECT(false); });
    });
}

TEST_CASE("Y28 a random sequence of operations agrees with a map") {
    const std::uint64_t random = seed("Y28");
    std::minstd_rand r(static_cast<unsigned>(random));
    pirn::sync_map<int, int> m;
    std::map<int, int> model;
    const auto expected = [&](int key) {
        const auto at = model.find(key);
        return at == model.end() ? std::nullopt : std::optional(at->second);
    };
    bool same = true;
    for (int i = 0; i < at_full_speed(200'000) && same; ++i) {
        const int key = static_cast<int>(r() % 500), value = static_cast<int>(r() % 4);
        const int old = static_cast<int>(r() % 4);
        const auto before = expected(key);
        switch (r() % 8) {
            case 0:
                m.store(key, value);
                model[key] = value;
                break;
            case 1:
                same = m.load(key) == before;
                break;
            case 2:
                same = m.load_or_store(key, value) ==
                       std::pair(before.value_or(value), before.has_value());
                model.emplace(key, value);
                break;
            case 3:
                same = m.load_and_delete(key) == before;
                model.erase(key);
                break;
            case 4:
                same = m.erase(key) == before.has_value();
                model.erase(key);
                break;
            case 5:
                same = m.swap(key, value) == before;
                model[key] = value;
                break;
            case 6:
                same = m.compare_and_swap(key, old, value) == (before == old);
                if (before == old) model[key] = value;
                break;
            default:
                same = m.compare_and_delete(key, old) == (before == old);
                if (before == old) model.erase(key);
        }
        if (i % 50'000 == 49'999) {
            m.clear();
            model.clear();
        }
    }
    REQUIRE(same);
    std::map<int, int> seen;
    m.range([&](int key, int value) { same = same && seen.emplace(key, value).second; });
    REQUIRE(same);
    REQUIRE(seen == model);
}

TEST_CASE("Y28 concurrent operations on one key happen one after the other") {
    in_run([](verdict& v) {
        pirn::sync_map<int, int> m;
        constexpr int k_each = 500;
        std::atomic<int> stored{0}, deleted{0};
        crowd all;
        const auto count = [&] {
            for (int i = 0; i < k_each; ++i) {
                for (;;) {
                    const auto [value, loaded] = m.load_or_store(1, 0);
                    if (m.compare_and_swap(1, value, value + 1)) break;
                }
                // One of those who come together stores, and one of them deletes.
                stored += !m.load_or_store(2, i).second;
                if (i % 16 == 0) pirn::yield();
                deleted += m.load_and_delete(2).has_value();
            }
        };
        for (int g = 0; g < 6; ++g) all.go(count);
        std::thread thread(count);
        all.join();
        thread.join();
        EXPECT(m.load(1) == 7 * k_each);
        deleted += m.erase(2);
        EXPECT(stored == deleted);
    });
}

TEST_CASE("Y28 range is weakly consistent") {
    in_run([](verdict& v) {
        // Go's TestConcurrentRange: keys that stay are seen, once, with a value of theirs.
        constexpr int k_size = 1024;
        pirn::sync_map<int, long> m;
        for (int n = 1; n <= k_size; ++n) m.store(n, n);
        std::atomic<bool> stop{false};
        crowd all;
        for (int g = 1; g <= 3; ++g)
            all.go([&, g] {
                for (int i = 0; !stop; ++i) {
                    for (int n = 1; n < k_size; ++n) {
                        if (n % 4 == g - 1) m.store(n, static_cast<long>(n) * i * g + n);
                        if (n % 64 == 0) pirn::yield();
                        m.store(k_size + n, n);
                        m.erase(k_size + n);
                    }
                }
            });
        for (int round = 0; round < 20; ++round) {
            std::map<int, long> seen;
            m.range([&](int key, long value) {
                EXPECT(key > k_size || value % key == 0);
                EXPECT(seen.emplace(key, value).second);
                return true;
            });
            for (int n = 1; n <= k_size; ++n) EXPECT(seen.count(n) == 1);
            pirn::yield();
        }
        stop = true;
        all.join();
        // It may use the map, and end early.
        int visited = 0;
        m.range([&](int key, long) {
            m.erase(key);
            m.store(key + 5000, 1);
            return ++visited < 10;
        });
        EXPECT(visited == 10);
        m.clear();
        EXPECT(m.load(1) == std::nullopt);
        m.range([&](int, long) { EXPECT(false); });
    });
}

TEST_CASE("values that leave the map are destroyed") {
    in_run([](verdict& v) {
        const auto value = std::make_shared<int>(0);
        {
            pirn::sync_map<int, std::shared_ptr<int>> m;
            for (int i = 0; i < 1000; ++i) m.store(i, value);
            EXPECT(value.use_count() == 1001);
            for (int i = 0; i < 500; ++i) EXPECT(m.erase(i));
            EXPECT(value.use_count() == 501);
            m.clear();
            EXPECT(value.use_count() == 1);
            for (int i = 0; i < 1000; ++i) m.store(1, value);
            EXPECT(value.use_count() == 2);
        }
        EXPECT(value.use_count() == 1);
    });
}
