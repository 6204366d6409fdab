// SPDX-License-Identifier: MIT
// The C++ library from a small stack: streams, locales, regex, filesystem, algorithms, containers.
#include <stdlib.h>

#include <algorithm>
#include <any>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iomanip>
#include <iostream>
#include <iterator>
#include <locale>
#include <map>
#include <numeric>
#include <random>
#include <regex>
#include <sstream>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include <pirn/runtime.h>

#include "test/growth/subject.h"

using growth::at_depth;
using growth::at_each_depth;
using growth::ballast;

namespace {

// A user's own stream buffer: foreign code calls it, from whatever depth.
class counting_buffer : public std::streambuf {
  public:
    int written = 0;

  protected:
    int_type overflow(int_type c) override {
        ballast<700> room;
        pirn::yield();
        written += 1 + room.damage();
        return c;
    }
};

// A user's facet, likewise.
class points_with_commas : public std::numpunct<char> {
  protected:
    char do_decimal_point() const override {
        ballast<700> room;
        return static_cast<char>(',' + room.damage());
    }
    char do_thousands_sep() const override { return '.'; }
    std::string do_grouping() const override { return "\3"; }
};

GROWTH_SUBJECT("streams: formatting and parsing") {
    auto calls = [&] {
        std::stringstream s;
        for (int i = 0; i < 10; ++i)
            s << i << ' ' << std::hex << i * 16 << std::dec << ' ' << i * 1.25 << '\n';
        int lines = 0;
        std::string line, last;
        for (; std::getline(s, line); ++lines) last = line;
        EXPECT(lines == 10 && last == "9 90 11.25");
        std::istringstream in("17 2.5 word");
        int n = 0;
        double d = 0;
        std::string word;
        EXPECT(in >> n >> d >> word && n == 17 && d == 2.5 && word == "word");
        in.exceptions(std::ios::failbit);
        bool threw = false;
        try {
            in >> n;
        } catch (const std::ios_base::failure&) {
            threw = true;
        }
        EXPECT(threw);
    };
    at_each_depth(calls, 16);
}

GROWTH_SUBJECT("streams: our buffers and facets called by foreign code") {
    auto calls = [&] {
        counting_buffer buffer;
        std::ostream out(&buffer);
        out << 12345 << ' ' << 1.5 << std::endl;
        EXPECT(buffer.written == 10);
        std::ostringstream text;
        text.imbue(std::locale(std::locale::classic(), new points_with_commas));
        text << std::fixed << std::setprecision(2) << 1234567.5;
        EXPECT(text.str() == "1.234.567,50");
        std::tm day{};
        day.tm_year = 123;
        day.tm_mday = 5;
        std::ostringstream date;
        date << std::put_time(&day, "%Y-%m-%d");
        EXPECT(date.str() == "2023-01-05");
        std::istringstream again("2021-12-31");
        again >> std::get_time(&day, "%Y-%m-%d");
        EXPECT(!again.fail() && day.tm_year == 121 && day.tm_mon == 11);
    };
    at_each_depth(calls, 12);
}

GROWTH_SUBJECT("streams: regex") {
    const std::string text = "ababccc123x";
    auto calls = [&] {
        const std::regex pattern("(a|b)*c+[0-9]{2,4}x?");
        std::smatch match;
        EXPECT(std::regex_match(text, match, pattern) && match[1] == "b");
        const std::regex words("[[:alpha:]]+", std::regex::icase | std::regex::extended);
        EXPECT(std::regex_replace(std::string("one, Two"), words, "<$&>") == "<one>, <Two>");
    };
    calls();
    at_depth(7, calls);
    at_depth(23, calls);
    // Recurses for each character.
    const std::string many(2000, 'a');
    EXPECT(std::regex_match(many, std::regex("(a|b)*")));
    bool threw = false;
    try {
        const std::regex broken("(unclosed");
    } catch (const std::regex_error&) {
        threw = true;
    }
    EXPECT(threw);
}

GROWTH_SUBJECT("streams: filesystem and files") {
    char name[] = "/tmp/pirn-growth-XXXXXX";
    EXPECT(::mkdtemp(name) != nullptr);
    const std::filesystem::path folder(name);
    at_depth(11, [&] {
        for (const char* file : {"a.txt", "b.txt", "c.txt"}) {
            std::ofstream out(folder / file);
            out << "text of " << file << '\n';
        }
        std::filesystem::create_directories(folder / "x" / "y" / "z");
        std::size_t files = 0, folders = 0;
        for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
            ++(entry.is_directory() ? folders : files);
        EXPECT(files == 3 && folders == 3);
        std::ifstream in(folder / "b.txt");
        std::string line;
        EXPECT(std::getline(in, line) && line == "text of b.txt");
        EXPECT(std::filesystem::canonical(folder / "x" / ".." / "a.txt").filename() == "a.txt");
        bool threw = false;
        try {
            (void)std::filesystem::file_size(folder / "absent");
        } catch (const std::filesystem::filesystem_error&) {
            threw = true;
        }
        EXPECT(threw);
    });
    EXPECT(std::filesystem::remove_all(folder) == 7);
}

GROWTH_SUBJECT("streams: algorithms and containers") {
    auto calls = [&] {
        std::vector<std::string> names;
        for (int i = 0; i < 200; ++i) names.push_back(std::to_string(i * 7919 % 200) + " of many");
        std::sort(names.begin(), names.end());
        EXPECT(std::is_sorted(names.begin(), names.end()));
        std::stable_sort(names.begin(), names.end(), std::greater<>());
        EXPECT(names.front() == "99 of many");
        std::map<std::string, int> ordered;
        std::unordered_map<std::string, int> hashed;
        for (const std::string& n : names) ++ordered[n], ++hashed[n];
        EXPECT(ordered.size() == 200 && hashed.size() == 200);
        std::mt19937 random(5);
        std::shuffle(names.begin(), names.end(), random);
        std::nth_element(names.begin(), names.begin() + 100, names.end());
        EXPECT(*std::max_element(names.begin(), names.begin() + 100) <= names[100]);
        bool threw = false;
        try {
            (void)names.at(1000);
        } catch (const std::out_of_range&) {
            threw = true;
        }
        EXPECT(threw);
    };
    at_each_depth(calls, 8);
}

GROWTH_SUBJECT("streams: variants, any and numbers as text") {
    auto calls = [&] {
        std::variant<int, std::string, double> value = "text";
        const auto size = [](const auto& x) { return sizeof x; };
        EXPECT(std::visit(size, value) == sizeof(std::string));
        bool threw = false;
        try {
            (void)std::get<int>(value);
        } catch (const std::bad_variant_access&) {
            threw = true;
        }
        EXPECT(threw);
        const std::any any = std::string("held");
        EXPECT(std::any_cast<std::string>(any) == "held");
        double d = 0;
        const std::string_view digits = "2.718281828";
        EXPECT(std::from_chars(digits.begin(), digits.end(), d).ec == std::errc{});
        EXPECT(d > 2.71 && d < 2.72);
        char text[64];
        const auto end = std::to_chars(text, text + sizeof text, 0.1);
        EXPECT(std::string(text, end.ptr) == "0.1");
        std::random_device device;
        EXPECT(device.max() > 0 && device() <= device.max());
    };
    at_each_depth(calls, 16);
}

}  // namespace
