// SPDX-License-Identifier: MIT
// Gates of calls on files: opening, locking, and reading at a place.
#include "test/runtime/gates_test.h"

#include <cstdio>
#include <functional>
#include <string>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>

using namespace pirn;
using namespace pirn::test;

#ifdef PIRN_SPLIT

extern "C" {
int __open_2(const char*, int);
int __open64_2(const char*, int);
int __openat_2(int, const char*, int);
int __openat64_2(int, const char*, int);
ssize_t __pread_chk(int, void*, size_t, off_t, size_t);
ssize_t __pread64_chk(int, void*, size_t, off_t, size_t);
}

namespace {

// A FIFO: opening one end waits for the other, which stays open: a thread that is about to open its
// end may come late.
struct fifo {
    std::string path = "/tmp/pirn-gates-" + std::to_string(::getpid());
    int reader = -1;
    fifo() { REQUIRE(::mkfifo(path.c_str(), 0600) == 0); }
    ~fifo() {
        ::unlink(path.c_str());
        ::close(reader);
    }
    fifo(const fifo&) = delete;
    void open_for_reading() { reader = ::open(path.c_str(), O_RDONLY | O_NONBLOCK); }
};

bool close_opened(int fd) { return fd >= 0 && ::close(fd) == 0; }

}  // namespace

TEST_CASE("opening a FIFO lets others run") {
    using opener = std::function<bool(const char* path)>;
    const std::pair<const char*, opener> openers[] = {
        {"open", [](auto path) { return close_opened(::open(path, O_WRONLY)); }},
        {"open64", [](auto path) { return close_opened(::open64(path, O_WRONLY)); }},
        {"openat", [](auto path) { return close_opened(::openat(AT_FDCWD, path, O_WRONLY)); }},
        {"openat64",
         [](auto path) { return close_opened(::openat64(AT_FDCWD, path, O_WRONLY)); }},
        {"__open_2", [](auto path) { return close_opened(::__open_2(path, O_WRONLY)); }},
        {"__open64_2", [](auto path) { return close_opened(::__open64_2(path, O_WRONLY)); }},
        {"__openat_2",
         [](auto path) { return close_opened(::__openat_2(AT_FDCWD, path, O_WRONLY)); }},
        {"__openat64_2",
         [](auto path) { return close_opened(::__openat64_2(AT_FDCWD, path, O_WRONLY)); }},
        {"creat", [](auto path) { return close_opened(::creat(path, 0600)); }},
        {"creat64", [](auto path) { return close_opened(::creat64(path, 0600)); }},
        {"fopen", [](auto path) {
            FILE* file = ::fopen(path, "we");
            return file != nullptr && ::fclose(file) == 0;
        }},
        {"fopen64", [](auto path) {
            FILE* file = ::fopen64(path, "we");
            return file != nullptr && ::fclose(file) == 0;
        }},
    };
    for (const auto& [name, open] : openers) {
        fifo f;
        try_call({name, [&] { return open(f.path.c_str()); }, [&] { f.open_for_reading(); }});
    }
}

TEST_CASE("locks of files let others run") {
    const std::string path = "/tmp/pirn-gates-lock-" + std::to_string(::getpid());
    const int mine = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    const int others = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    REQUIRE(mine >= 0);
    REQUIRE(others >= 0);
    ::unlink(path.c_str());
    struct flock whole{};
    whole.l_type = F_WRLCK;
    struct flock none = whole;
    none.l_type = F_UNLCK;
    const auto unlock = [&] { ::fcntl(others, F_OFD_SETLK, &none); };
    // One after the other, each for what another open file has locked.
    const auto try_range = [&](const char* name, const std::function<int()>& lock) {
        CHECK(::fcntl(others, F_OFD_SETLK, &whole) == 0);
        try_call({name, [&] { return lock() == 0; }, unlock});
        ::fcntl(mine, F_OFD_SETLK, &none);
        ::lockf(mine, F_ULOCK, 0);  // of the process, as lockf's own are
    };
    CHECK(::flock(others, LOCK_EX) == 0);
    try_call({"flock", [&] { return ::flock(mine, LOCK_EX) == 0; },
              [&] { ::flock(others, LOCK_UN); }});
    try_range("fcntl", [&] { return ::fcntl(mine, F_OFD_SETLKW, &whole); });
    try_range("fcntl, for the process", [&] { return ::fcntl(mine, F_SETLKW, &whole); });
    try_range("fcntl64", [&] { return ::fcntl64(mine, F_OFD_SETLKW, &whole); });
    try_range("lockf", [&] { return ::lockf(mine, F_LOCK, 0); });
    try_range("lockf64", [&] { return ::lockf64(mine, F_LOCK, 0); });
    try_prompt_calls({
        {"lockf, in vain or not", [&] { return ::lockf(mine, F_TLOCK, 0) == 0; }, false},
        {"lockf, giving back", [&] { return ::lockf(mine, F_ULOCK, 0) == 0; }, false},
        {"flock, in vain or not", [&] { return ::flock(mine, LOCK_EX | LOCK_NB) == 0; }, false},
        {"fcntl, in vain or not",
         [&] { return ::fcntl(mine, F_OFD_SETLK, &whole) == 0; }, false},
        {"fcntl, of flags", [&] { return ::fcntl(mine, F_GETFL) >= 0; }, false},
    });
    ::close(mine);
    ::close(others);
}

TEST_CASE("calls on files at a place are made as ones that may block") {
    FILE* file = std::tmpfile();
    REQUIRE(file != nullptr);
    const int fd = ::fileno(file);
    REQUIRE(::write(fd, "abcdefgh", 8) == 8);
    char two[2];
    iovec to{two, 2};
    char xy[] = "xy";
    iovec from{xy, 2};
    const auto got = [&](ssize_t n, const char* expected) {
        return n == 2 && std::string(two, 2) == expected;
    };
    try_prompt_calls({
        {"pread", [&] { return got(::pread(fd, two, 2, 1), "bc"); }},
        {"pread64", [&] { return got(::pread64(fd, two, 2, 2), "cd"); }},
        {"preadv", [&] { return got(::preadv(fd, &to, 1, 3), "de"); }},
        {"preadv64", [&] { return got(::preadv64(fd, &to, 1, 4), "ef"); }},
        {"__pread_chk", [&] { return got(::__pread_chk(fd, two, 2, 5, 2), "fg"); }},
        {"__pread64_chk", [&] { return got(::__pread64_chk(fd, two, 2, 6, 2), "gh"); }},
        {"pwrite", [&] { return ::pwrite(fd, "12", 2, 0) == 2; }},
        {"pwrite64", [&] { return ::pwrite64(fd, "34", 2, 2) == 2; }},
        {"pwritev", [&] { return ::pwritev(fd, &from, 1, 4) == 2; }},
        {"pwritev64", [&] { return ::pwritev64(fd, &from, 1, 6) == 2; }},
        {"fsync", [&] { return ::fsync(fd) == 0; }},
        {"fdatasync", [&] { return ::fdatasync(fd) == 0; }},
        {"fsync of nothing", [&] { return ::fsync(-1) == -1 && errno == EBADF; }},
        {"pread of nothing", [&] { return ::pread(-1, two, 2, 0) == -1 && errno == EBADF; }},
        {"open of nothing", [&] {
            return ::open("/nonexistent/x", O_RDONLY) == -1 && errno == ENOENT;
        }},
    });
    char all[8];
    CHECK(::pread(fd, all, 8, 0) == 8);
    CHECK(std::string(all, 8) == "1234xyxy");
    std::fclose(file);
}

#endif
