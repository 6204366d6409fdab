// SPDX-License-Identifier: MIT
// The C library from a small stack: callbacks that park, formatting, numbers, names, and the guards
// of static and thread_local variables.
#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <pirn/runtime.h>

#include "test/growth/foreign.h"
#include "test/growth/subject.h"

using growth::at_depth;
using growth::at_each_depth;
using growth::ballast;

namespace {

int compare_as_texts(const void* a, const void* b) {
    const auto text = [](const void* n) {
        return std::to_string(1000 + *static_cast<const int*>(n)) + " and a long end";
    };
    return text(a).compare(text(b));
}

int compare_and_park(const void* a, const void* b) {
    pirn::yield();
    return compare_as_texts(a, b);
}

int compare_and_throw(const void* a, const void*) {
    ballast<700> room;
    if (*static_cast<const int*>(a) == 5) throw std::out_of_range("five");
    return room.damage();
}

std::vector<int> shuffled(int n) {
    std::vector<int> a(static_cast<std::size_t>(n));
    for (int i = 0; i < n; ++i) a[static_cast<std::size_t>(i)] = i * 37 % n;
    return a;
}

GROWTH_SUBJECT("library: qsort and bsearch with our comparators") {
    auto calls = [&] {
        std::vector<int> a = shuffled(20);
        std::qsort(a.data(), a.size(), sizeof a[0], compare_as_texts);
        EXPECT(std::is_sorted(a.begin(), a.end()));
        const int key = 13;
        const void* at = std::bsearch(&key, a.data(), a.size(), sizeof a[0], compare_as_texts);
        EXPECT(at == &a[13]);
    };
    at_each_depth(calls);
    std::vector<int> a = shuffled(500);
    std::qsort(a.data(), a.size(), sizeof a[0], compare_as_texts);
    EXPECT(std::is_sorted(a.begin(), a.end()));
}

GROWTH_SUBJECT("library: qsort with comparators that park") {
    std::atomic<int> sorted{0}, left{8};
    for (int i = 0; i < 8; ++i) {
        growth::start([&, i] {
            at_depth(i * 7, [&] {
                std::vector<int> a = shuffled(100);
                std::qsort(a.data(), a.size(), sizeof a[0], compare_and_park);
                sorted += std::is_sorted(a.begin(), a.end());
            });
            --left;
        });
    }
    while (left != 0) pirn::yield();
    EXPECT(sorted == 8);
}

GROWTH_SUBJECT("library: a throw through bsearch") {
    auto calls = [&] {
        const int keys[] = {1, 2, 3, 4, 5};
        bool caught = false;
        try {
            std::bsearch(&keys[4], keys, 5, sizeof keys[0], compare_and_throw);
        } catch (const std::out_of_range&) {
            caught = true;
        }
        EXPECT(caught);
    };
    at_each_depth(calls);
}

GROWTH_SUBJECT("library: snprintf and sscanf with twenty arguments") {
    auto calls = [&] {
        char text[300];
        std::snprintf(text, sizeof text,
                      "%d %d %d %d %d %d %d %d %d %d %s %g %d %d %d %d %d %d %Lg %d", 1, 2, 3, 4, 5,
                      6, 7, 8, 9, 10, "x", 1.5, 11, 12, 13, 14, 15, 16, 17.5L, 18);
        EXPECT(std::strcmp(text, "1 2 3 4 5 6 7 8 9 10 x 1.5 11 12 13 14 15 16 17.5 18") == 0);
        int n[12];
        double d = 0;
        char word[8];
        const int got = std::sscanf(text, "%d %d %d %d %d %d %d %d %d %d %7s %lf %d %d", &n[0],
                                    &n[1], &n[2], &n[3], &n[4], &n[5], &n[6], &n[7], &n[8], &n[9],
                                    word, &d, &n[10], &n[11]);
        EXPECT(got == 14 && n[0] == 1 && n[9] == 10 && d == 1.5 && n[11] == 12);
    };
    at_each_depth(calls, 24);
}

GROWTH_SUBJECT("library: numbers and dates") {
    auto calls = [&] {
        char* end = nullptr;
        const char* const digits = "3.14159265358979323846264338327950288419716939937510e3rest";
        const double d = std::strtod(digits, &end);
        EXPECT(d > 3141.59 && d < 3141.6 && std::strcmp(end, "rest") == 0);
        EXPECT(std::stod("2.5e300") > 1e300 && std::to_string(1.5) == "1.500000");
        EXPECT(std::strtoll("-9223372036854775808", nullptr, 10) < 0);
        std::tm day{};
        day.tm_year = 100;
        day.tm_mon = 1;
        day.tm_mday = 29;
        day.tm_hour = 12;
        char text[40];
        EXPECT(std::mktime(&day) != -1 && day.tm_wday == 2);
        EXPECT(std::strftime(text, sizeof text, "%Y-%m-%d %A", &day) == 18);
        EXPECT(std::strcmp(text, "2000-02-29 Tuesday") == 0);
    };
    at_each_depth(calls, 24);
}

GROWTH_SUBJECT("library: getaddrinfo") {
    auto calls = [&] {
        addrinfo hints{};
        hints.ai_family = AF_UNSPEC;
        hints.ai_socktype = SOCK_STREAM;
        addrinfo* found = nullptr;
        EXPECT(::getaddrinfo("127.0.0.1", "80", &hints, &found) == 0);
        EXPECT(found != nullptr && found->ai_family == AF_INET);
        if (found != nullptr) ::freeaddrinfo(found);
        found = nullptr;
        EXPECT(::getaddrinfo("not an address", "80", &hints, &found) != 0);
    };
    calls();
    at_depth(13, calls);
}

GROWTH_SUBJECT("library: memory and strings") {
    auto calls = [&] {
        const std::unique_ptr<char[]> p(new char[10'000]);
        std::memset(p.get(), 'x', 9999);
        p[9999] = '\0';
        EXPECT(std::strlen(p.get()) == 9999);
        void* grown = std::realloc(std::malloc(10), 200'000);
        EXPECT(grown != nullptr);
        std::memcpy(grown, p.get(), 10'000);
        EXPECT(std::memcmp(grown, p.get(), 10'000) == 0);
        std::free(grown);
        void* pages = nullptr;
        EXPECT(::posix_memalign(&pages, 4096, 1 << 20) == 0);
        std::free(pages);
        char words[] = "one two three";
        char* rest = nullptr;
        EXPECT(std::strcmp(::strtok_r(words, " ", &rest), "one") == 0);
        EXPECT(std::strcmp(::strtok_r(nullptr, " ", &rest), "two") == 0);
    };
    at_each_depth(calls);
}

// errno survives a hop both ways, that which has to ask the kernel for a stack included.
GROWTH_OPAQUE int sets_errno(int value) {
    ballast<300'000> room;
    errno = value + room.damage();
    return errno;
}
GROWTH_OPAQUE int reads_errno() {
    ballast<600'000> room;
    return errno + room.damage();
}

GROWTH_SUBJECT("library: errno over hops") {
    for (int i = 1; i < 20; ++i) {
        at_depth(i * 5, [&] {
            EXPECT(sets_errno(i) == i && errno == i);
            errno = 100 + i;
            EXPECT(reads_errno() == 100 + i && errno == 100 + i);
        });
    }
}

struct costly {
    std::vector<int> values;
    explicit costly(int n) : values(20, n) {
        ballast<3000> room;
        values[0] += room.damage();
    }
};

GROWTH_OPAQUE int once_made(int n) {
    static const costly made(n);
    return made.values[0];
}

GROWTH_OPAQUE int made_at_second_try(int& tries) {
    struct reluctant {
        explicit reluctant(int& n) {
            ballast<3000> room;
            if (++n % 2 == 1) throw std::runtime_error("not yet");
            value = n + room.damage();
        }
        int value;
    };
    static const reluctant made(tries);
    return made.value;
}

GROWTH_SUBJECT("library: guards of static variables") {
    // The first to come makes it, once for the whole program.
    static const int first = once_made(3);
    EXPECT(first == 3);
    auto calls = [&] { EXPECT(once_made(4) == 3); };
    at_each_depth(calls);
    static int tries = 0;
    if (tries == 0) {
        bool threw = false;
        try {
            made_at_second_try(tries);
        } catch (const std::runtime_error&) {
            threw = true;
        }
        EXPECT(threw);
    }
    EXPECT(made_at_second_try(tries) == 2 && made_at_second_try(tries) == 2 && tries == 2);
}

}  // namespace
