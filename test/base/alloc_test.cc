// SPDX-License-Identifier: MIT
// The library's own allocator.
#include <catch2/catch.hpp>

#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>

#include "runtime/base/alloc.h"

using namespace pirn::base;

TEST_CASE("allocate gives memory of the alignment asked for") {
    for (std::size_t align = 1; align <= 4096; align *= 2) {
        for (const std::size_t size : {std::size_t{1}, std::size_t{24}, std::size_t{5000}}) {
            void* memory = allocate(size, align);
            CHECK(reinterpret_cast<std::uintptr_t>(memory) % align == 0);
            std::memset(memory, 0xa5, size);
            deallocate(memory);
        }
    }
}

TEST_CASE("an impossible size is bad_alloc") {
    CHECK_THROWS_AS(allocate(SIZE_MAX / 2), std::bad_alloc);
}

TEST_CASE("make gives the memory back when the constructor throws") {
    struct thrower {
        thrower() { throw std::runtime_error("no"); }
    };
    for (int i = 0; i < 100000; ++i) CHECK_THROWS_AS(make<thrower>(), std::runtime_error);
}

TEST_CASE("make and destroy run the constructor and the destructor once") {
    int made = 0;
    struct counted {
        int& n;
        explicit counted(int& at) : n(at) { ++n; }
        ~counted() { n += 10; }
    };
    counted* c = make<counted>(made);
    CHECK(made == 1);
    destroy(c);
    CHECK(made == 11);
    destroy<counted>(nullptr);
    CHECK(made == 11);
}
