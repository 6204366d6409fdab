// SPDX-License-Identifier: MIT
// Gates of calls on streams.
#include "test/runtime/gates_test.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <utility>

using namespace pirn;
using namespace pirn::test;

#ifdef PIRN_SPLIT

extern "C" {
size_t __fread_chk(void*, size_t, size_t, size_t, FILE*);
char* __fgets_chk(char*, size_t, int, FILE*);
int __fprintf_chk(FILE*, int, const char*, ...);
int __uflow(FILE*);
int __overflow(FILE*, int);
int __printf_chk(int, const char*, ...);
int __vprintf_chk(int, const char*, va_list);
int __vfprintf_chk(FILE*, int, const char*, va_list);
int __vdprintf_chk(int, int, const char*, va_list);
int __isoc99_scanf(const char*, ...);
int __isoc99_fscanf(FILE*, const char*, ...);
int __isoc99_vscanf(const char*, va_list);
int __isoc99_vfscanf(FILE*, const char*, va_list);
int __isoc23_scanf(const char*, ...);
int __isoc23_fscanf(FILE*, const char*, ...);
int __isoc23_vscanf(const char*, va_list);
int __isoc23_vfscanf(FILE*, const char*, va_list);
}

namespace {

// A stream on a descriptor.
class stream {
  public:
    stream(int fd, const char* mode) : file_(::fdopen(::dup(fd), mode)) {}
    ~stream() { ::fclose(file_); }
    stream(const stream&) = delete;
    operator FILE*() const { return file_; }

  private:
    FILE* file_;
};

std::function<bool(int)> reading(std::function<bool(FILE*)> read) {
    return [read = std::move(read)](int fd) { return read(stream(fd, "r")); };
}
// What is written goes on at once.
std::function<bool(int)> writing(std::function<bool(FILE*)> write) {
    return [write = std::move(write)](int fd) {
        const stream s(fd, "w");
        ::setvbuf(s, nullptr, _IONBF, 0);
        return write(s);
    };
}

// Calls a function that takes a list, with what follows the form.
template <class Call>
int with_list(Call call, const char* form, ...) {
    va_list list;
    va_start(list, form);
    const int n = call(form, list);
    va_end(list);
    return n;
}

// Reads a character by a form; `call` gets what with_list gives it.
template <class Call>
bool scans_x(Call call) {
    char c = 0;
    return with_list(call, "%c", &c) == 1 && c == 'x';
}
template <class Call>
bool prints_three(Call call) {
    return with_list(call, "%.1f", 2.5) == 3;
}

// The C library's own variable has another stream for a while: what its functions for standard
// input or output work on.
class redirected {
  public:
    redirected(FILE*& standard, FILE* to) : standard_(standard), before_(standard) {
        standard = to;
    }
    ~redirected() { standard_ = before_; }
    redirected(const redirected&) = delete;

  private:
    FILE*& standard_;
    FILE* before_;
};

// `read` from standard input, `write` to standard output.
std::function<bool(int)> reading_stdin(std::function<bool()> read) {
    return reading([read = std::move(read)](FILE* f) {
        const redirected now(stdin, f);
        return read();
    });
}
std::function<bool(int)> writing_stdout(std::function<bool()> write) {
    return writing([write = std::move(write)](FILE* f) {
        const redirected now(stdout, f);
        return write();
    });
}

}  // namespace

TEST_CASE("reading a stream lets others run") {
    try_readers(false, {
        {"fread", reading([](FILE* f) { return ::fread(byte_buffer, 1, 2, f) == 2; })},
        {"__fread_chk", reading([](FILE* f) {
            return ::__fread_chk(byte_buffer, 64, 1, 2, f) == 2;
        })},
        {"fgets", reading([](FILE* f) { return ::fgets(byte_buffer, 64, f) == byte_buffer; })},
        {"__fgets_chk", reading([](FILE* f) {
            return ::__fgets_chk(byte_buffer, 64, 64, f) == byte_buffer;
        })},
        {"fgetc", reading([](FILE* f) { return ::fgetc(f) == 'x' && ::fgetc(f) == '\n'; })},
        {"getc", reading([](FILE* f) { return ::getc(f) == 'x' && ::getc(f) == '\n'; })},
        {"__uflow", reading([](FILE* f) { return ::__uflow(f) == 'x'; })},
        {"getline", reading([](FILE* f) {
            char* line = nullptr;
            std::size_t bytes = 0;
            const bool right = ::getline(&line, &bytes, f) == 2 && line[0] == 'x';
            std::free(line);
            return right;
        })},
        {"__getdelim", reading([](FILE* f) {
            char* line = nullptr;
            std::size_t bytes = 0;
            const bool right = ::__getdelim(&line, &bytes, '\n', f) == 2;
            std::free(line);
            return right;
        })},
        {"getdelim", reading([](FILE* f) {
            char* line = nullptr;
            std::size_t bytes = 0;
            const bool right = ::getdelim(&line, &bytes, '\n', f) == 2;
            std::free(line);
            return right;
        })},
        {"fscanf", reading([](FILE* f) {
            char c = 0;
            return std::fscanf(f, "%c", &c) == 1 && c == 'x';
        })},
        {"vfscanf", reading([](FILE* f) {
            return scans_x([f](const char* form, va_list l) { return ::vfscanf(f, form, l); });
        })},
        {"__isoc99_fscanf", reading([](FILE* f) {
            char c = 0;
            return ::__isoc99_fscanf(f, "%c", &c) == 1 && c == 'x';
        })},
        {"__isoc99_vfscanf", reading([](FILE* f) {
            return scans_x([f](const char* form, va_list l) {
                return ::__isoc99_vfscanf(f, form, l);
            });
        })},
#if __GLIBC_PREREQ(2, 38)
        {"__isoc23_fscanf", reading([](FILE* f) {
            char c = 0;
            return ::__isoc23_fscanf(f, "%c", &c) == 1 && c == 'x';
        })},
        {"__isoc23_vfscanf", reading([](FILE* f) {
            return scans_x([f](const char* form, va_list l) {
                return ::__isoc23_vfscanf(f, form, l);
            });
        })},
#endif
    });
}

TEST_CASE("reading standard input lets others run") {
    try_readers(false, {
        {"getchar", reading_stdin([] { return ::getchar() == 'x' && ::getchar() == '\n'; })},
        {"scanf", reading_stdin([] {
            char c = 0;
            return ::scanf("%c", &c) == 1 && c == 'x';
        })},
        {"vscanf", reading_stdin([] {
            return scans_x([](const char* form, va_list l) { return ::vscanf(form, l); });
        })},
        {"__isoc99_scanf", reading_stdin([] {
            char c = 0;
            return ::__isoc99_scanf("%c", &c) == 1 && c == 'x';
        })},
        {"__isoc99_vscanf", reading_stdin([] {
            return scans_x([](const char* form, va_list l) { return ::__isoc99_vscanf(form, l); });
        })},
#if __GLIBC_PREREQ(2, 38)
        {"__isoc23_scanf", reading_stdin([] {
            char c = 0;
            return ::__isoc23_scanf("%c", &c) == 1 && c == 'x';
        })},
        {"__isoc23_vscanf", reading_stdin([] {
            return scans_x([](const char* form, va_list l) { return ::__isoc23_vscanf(form, l); });
        })},
#endif
    });
}

TEST_CASE("writing to a stream lets others run") {
    try_writers(false, {
        {"fwrite", writing([](FILE* f) { return ::fwrite("ab", 1, 2, f) == 2; })},
        {"fputs", writing([](FILE* f) { return ::fputs("ab", f) >= 0; })},
        {"fputc", writing([](FILE* f) { return ::fputc('a', f) == 'a'; })},
        {"putc", writing([](FILE* f) { return ::putc('a', f) == 'a'; })},
        {"fprintf", writing([](FILE* f) {
            return std::fprintf(f, "%d %s %.2f %d %d %d %d %d", 1, "ab", 2.5, 4, 5, 6, 7, 8) == 19;
        })},
        {"__fprintf_chk", writing([](FILE* f) { return ::__fprintf_chk(f, 1, "%d", 12) == 2; })},
        {"vfprintf", writing([](FILE* f) {
            return prints_three([f](const char* form, va_list l) {
                return ::vfprintf(f, form, l);
            });
        })},
        {"__vfprintf_chk", writing([](FILE* f) {
            return prints_three([f](const char* form, va_list l) {
                return ::__vfprintf_chk(f, 1, form, l);
            });
        })},
        {"vdprintf", [](int fd) {
            return prints_three([fd](const char* form, va_list l) {
                return ::vdprintf(fd, form, l);
            });
        }},
        {"__vdprintf_chk", [](int fd) {
            return prints_three([fd](const char* form, va_list l) {
                return ::__vdprintf_chk(fd, 1, form, l);
            });
        }},
        {"__overflow", writing([](FILE* f) { return ::__overflow(f, 'a') == 'a'; })},
        {"fflush", [](int fd) {
            const stream s(fd, "w");
            return ::fputs("ab", s) >= 0 && ::fflush(s) == 0;
        }},
        {"fclose", [](int fd) {
            FILE* f = ::fdopen(::dup(fd), "w");
            return ::fputs("ab", f) >= 0 && ::fclose(f) == 0;
        }},
    });
}

TEST_CASE("writing to standard output lets others run") {
    try_writers(false, {
        {"puts", writing_stdout([] { return ::puts("ab") >= 0; })},
        {"putchar", writing_stdout([] { return ::putchar('a') == 'a'; })},
        {"printf", writing_stdout([] {
            return std::printf("%d %s %.2f %d %d %d %d %d", 1, "ab", 2.5, 4, 5, 6, 7, 8) == 19;
        })},
        {"vprintf", writing_stdout([] {
            return prints_three([](const char* form, va_list l) { return ::vprintf(form, l); });
        })},
        {"__printf_chk", writing_stdout([] { return ::__printf_chk(1, "%d", 12) == 2; })},
        {"__vprintf_chk", writing_stdout([] {
            return prints_three([](const char* form, va_list l) {
                return ::__vprintf_chk(1, form, l);
            });
        })},
    });
}

TEST_CASE("characters in a stream's buffer do not give the P away") {
    FILE* f = std::tmpfile();
    REQUIRE(f != nullptr);
    // What the buffer holds, where no call of the kernel is needed.
    constexpr int k_bytes = 1000;
    REQUIRE(::fputc('a', f) == 'a');
    const auto all_are = [](auto next) {
        int same = 0;
        for (int i = 0; i < k_bytes; ++i) same += next() == 'a';
        return same == k_bytes;
    };
    {
        const redirected now(stdout, f);
        try_prompt_calls({
            {"fputc", [&] { return all_are([&] { return ::fputc('a', f); }); }, false},
            {"putc", [&] { return all_are([&] { return ::putc('a', f); }); }, false},
            {"putchar", [&] { return all_are([] { return ::putchar('a'); }); }, false},
        });
    }
    std::rewind(f);
    REQUIRE(::fgetc(f) == 'a');
    const redirected now(stdin, f);
    try_prompt_calls({
        {"fgetc", [&] { return all_are([&] { return ::fgetc(f); }); }, false},
        {"getc", [&] { return all_are([&] { return ::getc(f); }); }, false},
        {"getchar", [&] { return all_are([] { return ::getchar(); }); }, false},
        {"fgetc, at the end", [&] { return ::fgetc(f) == EOF; }},
    });
    std::fclose(f);
}

#endif
