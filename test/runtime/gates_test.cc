// SPDX-License-Identifier: MIT
// Calls that block, in code that knows nothing of goroutines: others run meanwhile, and the call
// returns what it should. That each name of the table is a gate's: test/link/gates.cc.
#include "test/support/fixture.h"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <functional>
#include <future>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <threads.h>
#include <unistd.h>

#include <pirn/runtime.h>

#include "runtime/m.h"
#include "runtime/self.h"

using namespace pirn;
using namespace pirn::test;

#ifdef PIRN_SPLIT

extern "C" {
ssize_t __read_chk(int, void*, size_t, size_t);
ssize_t __recv_chk(int, void*, size_t, size_t, int);
ssize_t __recvfrom_chk(int, void*, size_t, size_t, int, sockaddr*, socklen_t*);
int __poll_chk(pollfd*, nfds_t, int, size_t);
int __ppoll_chk(pollfd*, nfds_t, const timespec*, const sigset_t*, size_t);
int __open_2(const char*, int);
size_t __fread_chk(void*, size_t, size_t, size_t, FILE*);
char* __fgets_chk(char*, size_t, int, FILE*);
int __fprintf_chk(FILE*, int, const char*, ...);
int __dprintf_chk(int, int, const char*, ...);
int __uflow(FILE*);
}

namespace {

using namespace std::chrono_literals;

constexpr auto k_patience = 2s;
constexpr auto k_a_while = 300ms;

// A call that blocks until it is released, and whether it returned what it should.
struct blocking_call {
    const char* name;
    std::function<bool()> block;
    std::function<void()> release;
};

// One P: a goroutine blocks, and the main one makes it return, if it gets to run. If it does not, a
// thread makes it return, so that a gate that is missing fails and does not hang.
struct outcome {
    bool alive;  // the main goroutine has run meanwhile
    bool right;  // the call returned what it should
};
outcome attempt(const blocking_call& call) {
    std::atomic<bool> entered{false}, released{false}, right{false}, done{false}, alive{false};
    std::thread watch([&] {
        const auto until = std::chrono::steady_clock::now() + k_patience;
        while (!released && std::chrono::steady_clock::now() < until)
            std::this_thread::sleep_for(1ms);
        if (!released.exchange(true)) call.release();
    });
    run([&] {
        go([&] {
            entered = true;
            right = call.block();
            done = true;
        });
        wait_until([&] { return entered.load(); });
        alive = !done && !released.exchange(true);
        if (alive) call.release();
        released = true;
        wait_until([&] { return done.load(); });
    }, {.procs = 1});
    watch.join();
    return {alive, right};
}

void try_call(const blocking_call& call) {
    const outcome o = attempt(call);
    CAPTURE(call.name);
    CHECK(o.alive);
    CHECK(o.right);
}

void try_all(const std::vector<blocking_call>& calls) {
    for (const blocking_call& call : calls) try_call(call);
}

// Two connected descriptors, and what a call on the first waits for from the second.
struct pair {
    int in = -1, out = -1;
    explicit pair(bool sockets = false, int type = SOCK_STREAM) {
        int both[2];
        const int r = sockets ? ::socketpair(AF_UNIX, type, 0, both) : ::pipe(both);
        REQUIRE(r == 0);
        in = both[0];
        out = both[1];
    }
    ~pair() {
        if (in >= 0) ::close(in);
        if (out >= 0) ::close(out);
    }
    pair(const pair&) = delete;
    void put() const { static_cast<void>(::send(out, "x\n", 2, 0) < 0 && ::write(out, "x\n", 2)); }
    // So much that the next byte does not fit; and room again.
    void fill() const {
        const int flags = ::fcntl(out, F_GETFL);
        ::fcntl(out, F_SETFL, flags | O_NONBLOCK);
        char junk[4096] = {};
        while (::write(out, junk, sizeof junk) > 0) {}
        while (::write(out, junk, 1) > 0) {}
        ::fcntl(out, F_SETFL, flags);
    }
    void drain() const {
        const int flags = ::fcntl(in, F_GETFL);
        ::fcntl(in, F_SETFL, flags | O_NONBLOCK);
        char junk[4096];
        while (::read(in, junk, sizeof junk) > 0) {}
        ::fcntl(in, F_SETFL, flags);
    }
};

using reader = std::function<bool(int)>;

// Each on a descriptor that is silent until the release.
void try_readers(bool sockets, const std::vector<std::pair<const char*, reader>>& readers) {
    for (const auto& [name, read] : readers) {
        pair p(sockets);
        try_call({name, [&] { return read(p.in); }, [&] { p.put(); }});
    }
}

// Each on a descriptor that is full until the release.
void try_writers(bool sockets, const std::vector<std::pair<const char*, reader>>& writers) {
    for (const auto& [name, write] : writers) {
        pair p(sockets);
        p.fill();
        try_call({name, [&] { return write(p.out); }, [&] { p.drain(); }});
    }
}

timespec after(std::chrono::nanoseconds time, clockid_t clock = CLOCK_REALTIME) {
    timespec now;
    ::clock_gettime(clock, &now);
    const auto total =
        std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec) + time;
    return {static_cast<time_t>(total / 1s), static_cast<long>((total % 1s).count())};
}
timespec for_a_while() { return {0, std::chrono::nanoseconds(k_a_while).count()}; }

void nothing() {}

char byte_buffer[64];

}  // namespace

TEST_CASE("reads of a silent pipe let others run") {
    try_readers(false, {
        {"read", [](int fd) { return ::read(fd, byte_buffer, 8) == 2 && byte_buffer[0] == 'x'; }},
        {"readv", [](int fd) {
            iovec to{byte_buffer, 8};
            return ::readv(fd, &to, 1) == 2;
        }},
        {"__read_chk", [](int fd) { return ::__read_chk(fd, byte_buffer, 8, 64) == 2; }},
        {"syscall(SYS_read)", [](int fd) { return ::syscall(SYS_read, fd, byte_buffer, 8) == 2; }},
    });
}

TEST_CASE("waits for a descriptor let others run") {
    try_readers(false, {
        {"poll", [](int fd) {
            pollfd p{fd, POLLIN, 0};
            return ::poll(&p, 1, -1) == 1;
        }},
        {"ppoll", [](int fd) {
            pollfd p{fd, POLLIN, 0};
            return ::ppoll(&p, 1, nullptr, nullptr) == 1;
        }},
        {"__poll_chk", [](int fd) {
            pollfd p{fd, POLLIN, 0};
            return ::__poll_chk(&p, 1, -1, sizeof p) == 1;
        }},
        {"__ppoll_chk", [](int fd) {
            pollfd p{fd, POLLIN, 0};
            return ::__ppoll_chk(&p, 1, nullptr, nullptr, sizeof p) == 1;
        }},
        {"select", [](int fd) {
            fd_set set;
            FD_ZERO(&set);
            FD_SET(fd, &set);
            return ::select(fd + 1, &set, nullptr, nullptr, nullptr) == 1;
        }},
        {"pselect", [](int fd) {
            fd_set set;
            FD_ZERO(&set);
            FD_SET(fd, &set);
            return ::pselect(fd + 1, &set, nullptr, nullptr, nullptr, nullptr) == 1;
        }},
    });
}

namespace {

// Waits in an epoll set of its own, which knows the descriptor.
bool wait_in_epoll(int fd, const std::function<int(int, epoll_event*)>& wait) {
    const int set = ::epoll_create1(EPOLL_CLOEXEC);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    ::epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
    epoll_event found{};
    const bool right = wait(set, &found) == 1 && found.data.fd == fd;
    ::close(set);
    return right;
}

}  // namespace

TEST_CASE("waits in epoll let others run") {
    try_readers(false, {
        {"epoll_wait", [](int fd) {
            return wait_in_epoll(fd, [](int s, epoll_event* e) {
                return ::epoll_wait(s, e, 1, -1);
            });
        }},
        {"epoll_pwait", [](int fd) {
            return wait_in_epoll(fd, [](int s, epoll_event* e) {
                return ::epoll_pwait(s, e, 1, -1, nullptr);
            });
        }},
        {"epoll_pwait2", [](int fd) {
            return wait_in_epoll(fd, [](int s, epoll_event* e) {
                const int n = ::epoll_pwait2(s, e, 1, nullptr, nullptr);
                return n < 0 && errno == ENOSYS ? ::epoll_pwait(s, e, 1, -1, nullptr) : n;
            });
        }},
    });
}

TEST_CASE("writes to a full pipe let others run") {
    try_writers(false, {
        {"write", [](int fd) { return ::write(fd, "y", 1) == 1; }},
        {"writev", [](int fd) {
            iovec from{byte_buffer, 1};
            return ::writev(fd, &from, 1) == 1;
        }},
        {"dprintf", [](int fd) { return ::dprintf(fd, "%d%s%.1f", 12, "ab", 2.5) == 7; }},
        {"__dprintf_chk", [](int fd) { return ::__dprintf_chk(fd, 1, "%d", 12) == 2; }},
    });
}

TEST_CASE("receiving lets others run") {
    try_readers(true, {
        {"recv", [](int fd) { return ::recv(fd, byte_buffer, 8, 0) == 2; }},
        {"recvfrom", [](int fd) {
            return ::recvfrom(fd, byte_buffer, 8, 0, nullptr, nullptr) == 2;
        }},
        {"recvmsg", [](int fd) {
            iovec to{byte_buffer, 8};
            msghdr message{};
            message.msg_iov = &to;
            message.msg_iovlen = 1;
            return ::recvmsg(fd, &message, 0) == 2;
        }},
        {"__recv_chk", [](int fd) { return ::__recv_chk(fd, byte_buffer, 8, 64, 0) == 2; }},
        {"__recvfrom_chk", [](int fd) {
            return ::__recvfrom_chk(fd, byte_buffer, 8, 64, 0, nullptr, nullptr) == 2;
        }},
    });
}

TEST_CASE("sending lets others run") {
    try_writers(true, {
        {"send", [](int fd) { return ::send(fd, "y", 1, MSG_NOSIGNAL) == 1; }},
        {"sendto", [](int fd) { return ::sendto(fd, "y", 1, MSG_NOSIGNAL, nullptr, 0) == 1; }},
        {"sendmsg", [](int fd) {
            iovec from{byte_buffer, 1};
            msghdr message{};
            message.msg_iov = &from;
            message.msg_iovlen = 1;
            return ::sendmsg(fd, &message, MSG_NOSIGNAL) == 1;
        }},
    });
}

namespace {

// A socket that listens on a name of its own, with room for `backlog` more than one.
struct listener {
    int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un name{};
    socklen_t bytes = sizeof(sa_family_t);
    explicit listener(int backlog) {
        name.sun_family = AF_UNIX;
        ::bind(fd, reinterpret_cast<sockaddr*>(&name), bytes);  // the kernel finds a name
        bytes = sizeof name;
        ::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &bytes);
        REQUIRE(::listen(fd, backlog) == 0);
    }
    ~listener() { ::close(fd); }
    listener(const listener&) = delete;
    bool connect() const {
        const int to = ::socket(AF_UNIX, SOCK_STREAM, 0);
        const bool right = ::connect(to, reinterpret_cast<const sockaddr*>(&name), bytes) == 0;
        ::close(to);
        return right;
    }
};

bool close_accepted(int fd) { return fd >= 0 && ::close(fd) == 0; }

}  // namespace

TEST_CASE("accept and connect let others run") {
    listener l(4), full(0);
    CHECK(full.connect());
    try_all({
        {"accept", [&] { return close_accepted(::accept(l.fd, nullptr, nullptr)); },
         [&] { l.connect(); }},
        {"accept4", [&] { return close_accepted(::accept4(l.fd, nullptr, nullptr, 0)); },
         [&] { l.connect(); }},
        {"connect", [&] { return full.connect(); },
         [&] { close_accepted(::accept(full.fd, nullptr, nullptr)); }},
    });
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

}  // namespace

TEST_CASE("opening a FIFO lets others run") {
    using opener = std::function<bool(const char* path)>;
    const std::pair<const char*, opener> openers[] = {
        {"open", [](auto path) { return close_accepted(::open(path, O_WRONLY)); }},
        {"open64", [](auto path) { return close_accepted(::open64(path, O_WRONLY)); }},
        {"openat", [](auto path) { return close_accepted(::openat(AT_FDCWD, path, O_WRONLY)); }},
        {"openat64",
         [](auto path) { return close_accepted(::openat64(AT_FDCWD, path, O_WRONLY)); }},
        {"__open_2", [](auto path) { return close_accepted(::__open_2(path, O_WRONLY)); }},
        {"creat", [](auto path) { return close_accepted(::creat(path, 0600)); }},
        {"creat64", [](auto path) { return close_accepted(::creat64(path, 0600)); }},
        {"fopen", [](auto path) {
            FILE* file = ::fopen(path, "we");
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
    CHECK(::flock(others, LOCK_EX) == 0);
    try_call({"flock", [&] { return ::flock(mine, LOCK_EX) == 0; },
              [&] { ::flock(others, LOCK_UN); }});
    CHECK(::fcntl(others, F_OFD_SETLK, &whole) == 0);
    try_call({"fcntl", [&] { return ::fcntl(mine, F_OFD_SETLKW, &whole) == 0; }, unlock});
    ::fcntl(mine, F_OFD_SETLK, &none);
    CHECK(::fcntl(others, F_OFD_SETLK, &whole) == 0);
    try_call({"lockf", [&] { return ::lockf(mine, F_LOCK, 0) == 0; }, unlock});
    ::close(mine);
    ::close(others);
}

TEST_CASE("sleeping lets others run") {
    const timespec a_while = for_a_while();
    try_all({
        {"nanosleep", [&] { return ::nanosleep(&a_while, nullptr) == 0; }, nothing},
        {"clock_nanosleep", [&] {
            return ::clock_nanosleep(CLOCK_MONOTONIC, 0, &a_while, nullptr) == 0;
        }, nothing},
        {"usleep", [] { return ::usleep(300'000) == 0; }, nothing},
        {"sleep", [] { return ::sleep(1) == 0; }, nothing},
        {"thrd_sleep", [&] { return ::thrd_sleep(&a_while, nullptr) == 0; }, nothing},
        {"std::this_thread::sleep_for", [] {
            const auto before = std::chrono::steady_clock::now();
            std::this_thread::sleep_for(k_a_while);
            return std::chrono::steady_clock::now() - before >= k_a_while;
        }, nothing},
        {"poll with a time", [] { return ::poll(nullptr, 0, 300) == 0; }, nothing},
        {"system", [] { return WEXITSTATUS(::system("sleep 0.3; exit 3")) == 3; }, nothing},
    });
}

namespace {

// A child that ends with status 7 when it is released.
struct child {
    pair p;
    pid_t pid = ::fork();
    child() {
        if (pid != 0) return;
        char c;
        ::_exit(::read(p.in, &c, 1) == 1 ? 7 : 8);
    }
};

void try_child(const char* name, const std::function<bool(pid_t, int*)>& wait) {
    child c;
    REQUIRE(c.pid > 0);
    try_call({name, [&] {
        int status = 0;
        return wait(c.pid, &status) && WIFEXITED(status) && WEXITSTATUS(status) == 7;
    }, [&] { c.p.put(); }});
}

}  // namespace

TEST_CASE("waiting for a child lets others run") {
    try_child("wait", [](pid_t pid, int* status) { return ::wait(status) == pid; });
    try_child("waitpid", [](pid_t pid, int* status) { return ::waitpid(pid, status, 0) == pid; });
    try_child("wait3", [](pid_t pid, int* status) { return ::wait3(status, 0, nullptr) == pid; });
    try_child("wait4", [](pid_t pid, int* status) {
        return ::wait4(pid, status, 0, nullptr) == pid;
    });
    try_child("waitid", [](pid_t pid, int* status) {
        siginfo_t info{};
        const bool ended = ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED) == 0;
        *status = info.si_status << 8;
        return ended;
    });
}

namespace {

// A thread that lives until it is released.
struct patient {
    sem_t go_on;
    pthread_t thread{};
    patient() {
        ::sem_init(&go_on, 0, 0);
        ::pthread_create(&thread, nullptr, [](void* self) -> void* {
            ::sem_wait(&static_cast<patient*>(self)->go_on);
            return self;
        }, this);
    }
    ~patient() { ::sem_destroy(&go_on); }
    patient(const patient&) = delete;
};

void try_join(const char* name, const std::function<bool(patient&)>& join) {
    patient p;
    try_call({name, [&] { return join(p); }, [&] { ::sem_post(&p.go_on); }});
}

}  // namespace

TEST_CASE("joining a thread lets others run") {
    try_join("pthread_join", [](patient& p) {
        void* result = nullptr;
        return ::pthread_join(p.thread, &result) == 0 && result == &p;
    });
    try_join("pthread_timedjoin_np", [](patient& p) {
        const timespec until = after(20s);
        return ::pthread_timedjoin_np(p.thread, nullptr, &until) == 0;
    });
    try_join("pthread_clockjoin_np", [](patient& p) {
        const timespec until = after(20s, CLOCK_MONOTONIC);
        return ::pthread_clockjoin_np(p.thread, nullptr, CLOCK_MONOTONIC, &until) == 0;
    });
    try_join("thrd_join", [](patient& p) {
        return ::thrd_join(p.thread, nullptr) == thrd_success;
    });
    std::atomic<bool> go_on{false};
    std::thread waited_for([&] {
        while (!go_on) std::this_thread::sleep_for(1ms);
    });
    try_call({"std::thread::join", [&] {
        waited_for.join();
        return !waited_for.joinable();
    }, [&] { go_on = true; }});
}

TEST_CASE("an exception comes through a gate") {
    std::atomic<int> caught{0};
    run([&] {
        std::atomic<bool> done{false};
        go([&] {
            std::thread none;
            try {
                none.join();
            } catch (const std::system_error& e) {
                caught = e.code().value();
            }
            done = true;
        });
        wait_until([&] { return done.load(); });
    }, {.procs = 1});
    CHECK(caught == EINVAL);
}

TEST_CASE("semaphores let others run") {
    sem_t s;
    ::sem_init(&s, 0, 0);
    const auto post = [&] { ::sem_post(&s); };
    try_all({
        {"sem_wait", [&] {
            errno = 77;
            return ::sem_wait(&s) == 0 && errno == 77;
        }, post},
        {"sem_timedwait", [&] {
            const timespec until = after(20s);
            return ::sem_timedwait(&s, &until) == 0;
        }, post},
        {"sem_timedwait, in vain", [&] {
            const timespec until = after(k_a_while);
            return ::sem_timedwait(&s, &until) == -1 && errno == ETIMEDOUT;
        }, nothing},
        {"sem_clockwait", [&] {
            const timespec until = after(20s, CLOCK_MONOTONIC);
            return ::sem_clockwait(&s, CLOCK_MONOTONIC, &until) == 0;
        }, post},
    });
    ::sem_destroy(&s);
}

TEST_CASE("condition variables let others run") {
    std::mutex mu;
    std::condition_variable cond;
    std::condition_variable_any any;
    bool set = false;
    const auto notify = [&] {
        const std::lock_guard hold(mu);
        set = true;
        cond.notify_all();
        any.notify_all();
    };
    const auto waiting = [&](auto wait) {
        return [&, wait] {
            std::unique_lock hold(mu);
            while (!set) wait(hold);
            set = false;
            return true;
        };
    };
    try_all({
        {"std::condition_variable::wait", waiting([&](auto& hold) { cond.wait(hold); }), notify},
        {"wait_for", waiting([&](auto& hold) { cond.wait_for(hold, 20s); }), notify},
        {"wait_until of the system's clock", waiting([&](auto& hold) {
            cond.wait_until(hold, std::chrono::system_clock::now() + 20s);
        }), notify},
        {"std::condition_variable_any::wait", waiting([&](auto& hold) { any.wait(hold); }), notify},
        {"pthread_cond_wait", waiting([&](auto&) {
            ::pthread_cond_wait(cond.native_handle(), mu.native_handle());
        }), notify},
    });
    mtx_t plain;
    cnd_t c;
    ::mtx_init(&plain, mtx_timed);
    ::cnd_init(&c);
    const auto tell = [&] {
        ::mtx_lock(&plain);
        set = true;
        ::cnd_signal(&c);
        ::mtx_unlock(&plain);
    };
    const auto c_waiting = [&](auto wait) {
        return [&, wait] {
            ::mtx_lock(&plain);
            int r = thrd_success;
            while (!set && r == thrd_success) r = wait();
            set = false;
            ::mtx_unlock(&plain);
            return r == thrd_success;
        };
    };
    try_all({
        {"cnd_wait", c_waiting([&] { return ::cnd_wait(&c, &plain); }), tell},
        {"cnd_timedwait", c_waiting([&] {
            const timespec until = after(20s);
            return ::cnd_timedwait(&c, &plain, &until);
        }), tell},
    });
}

TEST_CASE("futures, barriers and futexes let others run") {
    std::promise<int> promise, timed;
    pthread_barrier_t barrier;
    ::pthread_barrier_init(&barrier, nullptr, 2);
    std::atomic<int> word{0};
    std::atomic<bool> thread_came{false};
    try_all({
        {"std::future::get", [&] { return promise.get_future().get() == 5; },
         [&] { promise.set_value(5); }},
        {"std::future::wait_for", [&] {
            return timed.get_future().wait_for(20s) == std::future_status::ready;
        }, [&] { timed.set_value(5); }},
        {"pthread_barrier_wait", [&] {
            const int r = ::pthread_barrier_wait(&barrier);
            return r == 0 || r == PTHREAD_BARRIER_SERIAL_THREAD;
        }, [&] { std::thread([&] { ::pthread_barrier_wait(&barrier); }).detach(); }},
        {"syscall(SYS_futex)", [&] {
            while (word == 0)
                ::syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, nullptr, nullptr, 0);
            return true;
        }, [&] {
            word = 1;
            ::syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
        }},
        {"std::atomic::wait", [&] {
            thread_came.wait(false);
            return thread_came.load();
        }, [&] {
            thread_came = true;
            thread_came.notify_all();
        }},
    });
    ::pthread_barrier_destroy(&barrier);
}

namespace {

// A thread that has taken something, and gives it back when it is released.
class holder {
  public:
    holder(std::function<void()> take, std::function<void()> give)
        : thread_([this, take = std::move(take), give = std::move(give)] {
              take();
              taken_ = true;
              while (!released_) std::this_thread::sleep_for(1ms);
              give();
          }) {
        while (!taken_) std::this_thread::sleep_for(1ms);
    }
    ~holder() {
        release();
        thread_.join();
    }
    void release() { released_ = true; }

  private:
    std::atomic<bool> taken_{false}, released_{false};
    std::thread thread_;
};

// What the running goroutine holds, and how many of these bind it to its thread.
std::pair<unsigned, unsigned> held() {
    const rt::g* gp = rt::self()->cur();
    return {gp->os_locks, gp->os_bindings};
}

// By name: a call through a pointer goes past the gate.
int unlock(pthread_mutex_t& x) { return ::pthread_mutex_unlock(&x); }
int unlock(pthread_rwlock_t& x) { return ::pthread_rwlock_unlock(&x); }
int unlock(mtx_t& x) { return ::mtx_unlock(&x); }

// A lock that is taken until the release. It is counted while it is held, and binds or not.
template <class L>
void try_lock_call(const char* name, bool binds, L& lock, const std::function<int(L&)>& take,
                   const std::function<int(L&)>& take_first) {
    holder h([&] { take_first(lock); }, [&] { unlock(lock); });
    try_call({name, [&] {
        const auto before = held();
        const int r = take(lock);
        const auto between = held();
        const int gave = unlock(lock);
        return r == 0 && gave == 0 && before == held() && between.first == before.first + 1 &&
               between.second == before.second + (binds ? 1 : 0);
    }, [&] { h.release(); }});
}

struct mutex_kind {
    const char* name;
    bool binds;
    std::function<void(pthread_mutexattr_t*)> set;
};

}  // namespace

TEST_CASE("a taken mutex lets others run, and is counted; those of a thread bind to it") {
    const mutex_kind kinds[] = {
        {"plain mutex", false, [](pthread_mutexattr_t*) {}},
        {"adaptive mutex", false, [](pthread_mutexattr_t* a) {
            ::pthread_mutexattr_settype(a, PTHREAD_MUTEX_ADAPTIVE_NP);
        }},
        {"shared mutex", false, [](pthread_mutexattr_t* a) {
            ::pthread_mutexattr_setpshared(a, PTHREAD_PROCESS_SHARED);
        }},
        {"recursive mutex", true, [](pthread_mutexattr_t* a) {
            ::pthread_mutexattr_settype(a, PTHREAD_MUTEX_RECURSIVE);
        }},
        {"error-checking mutex", true, [](pthread_mutexattr_t* a) {
            ::pthread_mutexattr_settype(a, PTHREAD_MUTEX_ERRORCHECK);
        }},
        {"robust mutex", true, [](pthread_mutexattr_t* a) {
            ::pthread_mutexattr_setrobust(a, PTHREAD_MUTEX_ROBUST);
        }},
        {"priority-inheriting mutex", true, [](pthread_mutexattr_t* a) {
            ::pthread_mutexattr_setprotocol(a, PTHREAD_PRIO_INHERIT);
        }},
    };
    for (const mutex_kind& kind : kinds) {
        pthread_mutexattr_t a;
        ::pthread_mutexattr_init(&a);
        kind.set(&a);
        pthread_mutex_t m;
        const int made = ::pthread_mutex_init(&m, &a);
        if (made == ENOTSUP || made == ENOSYS) continue;  // an emulator has not all of them
        REQUIRE(made == 0);
        const auto lock = [](pthread_mutex_t& x) { return ::pthread_mutex_lock(&x); };
        try_lock_call<pthread_mutex_t>(kind.name, kind.binds, m, lock, lock);
        try_lock_call<pthread_mutex_t>("pthread_mutex_timedlock", kind.binds, m,
            [](pthread_mutex_t& x) {
                const timespec until = after(20s);
                return ::pthread_mutex_timedlock(&x, &until);
            }, lock);
        if (std::strstr(kind.name, "priority") == nullptr)
            try_lock_call<pthread_mutex_t>("pthread_mutex_clocklock", kind.binds, m,
                [](pthread_mutex_t& x) {
                    const timespec until = after(20s, CLOCK_MONOTONIC);
                    return ::pthread_mutex_clocklock(&x, CLOCK_MONOTONIC, &until);
                }, lock);
        ::pthread_mutex_destroy(&m);
    }
    mtx_t c;
    ::mtx_init(&c, mtx_timed | mtx_recursive);
    const auto lock = [](mtx_t& x) { return ::mtx_lock(&x); };
    try_lock_call<mtx_t>("mtx_lock", true, c, lock, lock);
    try_lock_call<mtx_t>("mtx_timedlock", true, c, [](mtx_t& x) {
        const timespec until = after(20s);
        return ::mtx_timedlock(&x, &until);
    }, lock);
}

TEST_CASE("a taken rwlock lets others run, and binds to the thread") {
    using rwlock = pthread_rwlock_t;
    rwlock l = PTHREAD_RWLOCK_INITIALIZER;
    const std::function<int(rwlock&)> write = [](rwlock& x) { return ::pthread_rwlock_wrlock(&x); };
    const std::function<int(rwlock&)> read = [](rwlock& x) { return ::pthread_rwlock_rdlock(&x); };
    const auto timed = [](auto lock) -> std::function<int(rwlock&)> {
        return [lock](rwlock& x) {
            const timespec until = after(20s);
            return lock(&x, &until);
        };
    };
    const auto clocked = [](auto lock) -> std::function<int(rwlock&)> {
        return [lock](rwlock& x) {
            const timespec until = after(20s, CLOCK_MONOTONIC);
            return lock(&x, CLOCK_MONOTONIC, &until);
        };
    };
    const auto try_rwlock = [&](const char* name, const std::function<int(rwlock&)>& take,
                                const std::function<int(rwlock&)>& first) {
        try_lock_call<rwlock>(name, true, l, take, first);
    };
    try_rwlock("pthread_rwlock_rdlock", read, write);
    try_rwlock("pthread_rwlock_wrlock", write, read);
    try_rwlock("pthread_rwlock_timedrdlock", timed([](rwlock* x, const timespec* until) {
        return ::pthread_rwlock_timedrdlock(x, until);
    }), write);
    try_rwlock("pthread_rwlock_timedwrlock", timed([](rwlock* x, const timespec* until) {
        return ::pthread_rwlock_timedwrlock(x, until);
    }), read);
    try_rwlock("pthread_rwlock_clockrdlock",
               clocked([](rwlock* x, clockid_t c, const timespec* u) {
        return ::pthread_rwlock_clockrdlock(x, c, u);
    }), write);
    try_rwlock("pthread_rwlock_clockwrlock",
               clocked([](rwlock* x, clockid_t c, const timespec* u) {
        return ::pthread_rwlock_clockwrlock(x, c, u);
    }), read);
}

TEST_CASE("locks that are free, tried in vain, or given up are counted as what they are") {
    using counts = std::vector<unsigned>;
    counts seen;
    run([&] {
        std::atomic<bool> done{false};
        go([&] {
            const auto see = [&] { seen.push_back(held().first); };
            std::mutex a, b;
            a.lock();
            see();  // 1
            b.lock();
            see();  // 2
            static_cast<void>(a.try_lock());
            see();  // 2: in vain
            b.unlock();
            see();  // 1
            a.unlock();
            see();  // 0
            a.lock();
            std::atomic<bool> unlocked{false};
            go([&] {
                a.unlock();  // by another goroutine than the locker, which holds nothing
                see();  // 0
                unlocked = true;
            });
            wait_until([&] { return unlocked.load(); });
            std::shared_mutex s;
            const unsigned before = held().first;
            {
                const std::shared_lock hold(s);
                seen.push_back(held().first - before);  // 1
            }
            FILE* f = std::tmpfile();
            ::flockfile(f);
            seen.push_back(held().first - before);  // 1
            ::funlockfile(f);
            seen.push_back(held().first - before);  // 0
            std::fclose(f);
            done = true;
        });
        wait_until([&] { return done.load(); });
    }, {.procs = 1});
    CHECK(seen == counts{1, 2, 2, 1, 0, 0, 1, 1, 0});
}

namespace {

// Does not fit on a small block, so that it hops, and ends in a jump to the gate.
[[gnu::noinline]] ssize_t read_at_the_end(int fd) {
    {
        volatile char large[8000];
        large[0] = 1;
        large[sizeof large - 1] = large[0];
    }
    return ::read(fd, byte_buffer, 8);
}

}  // namespace

TEST_CASE("a call at the end of a function that hopped lets others run") {
    try_readers(false, {{"read", [](int fd) { return read_at_the_end(fd) == 2; }}});
}

TEST_CASE("a goroutine that is nothing but a call lets others run") {
    std::chrono::steady_clock::duration away{};
    run([&] {
        const std::size_t before = num_goroutine();
        go([] { ::poll(nullptr, 0, 1000); });
        const auto began = std::chrono::steady_clock::now();
        for (int i = 0; i < 10; ++i) yield();
        away = std::chrono::steady_clock::now() - began;
        wait_until([&] { return num_goroutine() == before; });
    }, {.procs = 1});
    CHECK(away < 500ms);
}

TEST_CASE("PIRN_DEBUG=gates=0 turns them off") {
    ::setenv("PIRN_DEBUG", "gates=0", 1);
    pair p;
    std::mutex mu;
    std::pair<unsigned, unsigned> while_locked{9, 9};
    const outcome o = attempt({"read", [&] {
        const std::lock_guard hold(mu);
        while_locked = held();
        return ::read(p.in, byte_buffer, 8) == 2;
    }, [&] { p.put(); }});
    ::unsetenv("PIRN_DEBUG");
    CHECK_FALSE(o.alive);
    CHECK(o.right);
    CHECK(while_locked == std::pair(0u, 0u));
}

TEST_CASE("a std::mutex may be held across a park") {
    std::atomic<bool> released{false}, got_it{false};
    run([&] {
        std::mutex mu;
        std::atomic<bool> holds{false}, waits{false}, done{false};
        go([&] {
            const std::lock_guard hold(mu);
            holds = true;
            wait_until([&] { return waits.load(); });
            for (int i = 0; i < 100; ++i) yield();
            released = true;
        });
        go([&] {
            wait_until([&] { return holds.load(); });
            waits = true;
            const std::lock_guard hold(mu);
            got_it = released.load();
            done = true;
        });
        wait_until([&] { return done.load(); });
    }, {.procs = 1});
    CHECK(got_it);
}

namespace {

std::atomic<int> initialized{0};
std::atomic<bool> may_initialize{false};

int initialize() {
    ++initialized;
    while (!may_initialize) std::this_thread::sleep_for(1ms);
    return 5;
}

int guarded_value() {
    static const int value = initialize();
    return value;
}

struct failing {
    explicit failing(bool fails) {
        if (fails) throw 5;
    }
};

void make_guarded(bool fails) { static const failing value(fails); }

}  // namespace

TEST_CASE("an initializer that runs elsewhere lets others run") {
    pthread_once_t once = PTHREAD_ONCE_INIT;
    once_flag flag = ONCE_FLAG_INIT;
    const auto init = +[] { initialize(); };
    const std::pair<const char*, std::function<void()>> ways[] = {
        {"a static variable", [] { guarded_value(); }},
        {"pthread_once", [&] { ::pthread_once(&once, init); }},
        {"call_once", [&] { ::call_once(&flag, init); }},
    };
    for (const auto& [name, way] : ways) {
        initialized = 0;
        may_initialize = false;
        std::thread first(way);
        while (initialized == 0) std::this_thread::sleep_for(1ms);
        const auto& same = way;
        try_call({name, [&] {
            same();
            return initialized == 1 && may_initialize;
        }, [&] { may_initialize = true; }});
        first.join();
    }
}

TEST_CASE("an initializer counts as a lock while it runs") {
    std::pair<unsigned, unsigned> in_once, in_guard, after_all{9, 9};
    int caught = 0;
    run([&] {
        std::atomic<bool> done{false};
        go([&] {
            std::once_flag once;
            std::call_once(once, [&] {
                in_once = held();
                yield();
            });
            struct sees {
                explicit sees(std::pair<unsigned, unsigned>& to) {
                    to = held();
                    yield();
                }
            };
            static const sees value(in_guard);
            std::once_flag failing_once;
            try {
                std::call_once(failing_once, [] { throw 4; });
            } catch (int n) {
                caught += n;
            }
            try {
                make_guarded(true);
            } catch (int n) {
                caught += n;
            }
            make_guarded(false);
            after_all = held();
            done = true;
        });
        wait_until([&] { return done.load(); });
    }, {.procs = 1});
    CHECK(in_once.first == 1);
    CHECK(in_once.second == 1);
    CHECK(in_guard.first == 1);
    CHECK(in_guard.second == 0);
    CHECK(after_all.first == 0);
    CHECK(after_all.second == 0);
    CHECK(caught == 9);
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

int scan(FILE* from, const char* form, ...) {
    va_list list;
    va_start(list, form);
    const int n = ::vfscanf(from, form, list);
    va_end(list);
    return n;
}
int print(FILE* to, const char* form, ...) {
    va_list list;
    va_start(list, form);
    const int n = ::vfprintf(to, form, list);
    va_end(list);
    return n;
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
            char c = 0;
            return scan(f, "%c", &c) == 1 && c == 'x';
        })},
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
        {"vfprintf", writing([](FILE* f) { return print(f, "%.1f", 2.5) == 3; })},
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

TEST_CASE("characters in a stream's buffer, and other calls that return at once") {
    int right = 0;
    run([&] {
        std::atomic<bool> done{false};
        go([&] {
            FILE* f = std::tmpfile();
            for (int i = 0; i < 10'000; ++i) ::fputc('a' + i % 26, f);
            std::rewind(f);
            int same = 0;
            for (int i = 0; i < 10'000; ++i) same += ::fgetc(f) == 'a' + i % 26;
            right += same == 10'000 && ::fgetc(f) == EOF;
            const int fd = ::fileno(f);
            char two[2];
            iovec v{two, 2};
            right += ::pread(fd, two, 2, 26) == 2 && two[0] == 'a';
            right += ::preadv(fd, &v, 1, 27) == 2 && two[0] == 'b';
            right += ::pwrite(fd, "yz", 2, 0) == 2 && ::pwritev(fd, &v, 1, 0) == 2;
            right += ::fsync(fd) == 0 && ::fdatasync(fd) == 0;
            std::fclose(f);
            errno = 0;
            right += ::read(-1, two, 2) == -1 && errno == EBADF;
            right += ::open("/nonexistent/x", O_RDONLY) == -1 && errno == ENOENT;
            right += ::waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD;
            right += ::poll(nullptr, 0, 0) == 0;
            addrinfo hints{}, *found = nullptr;
            hints.ai_flags = AI_NUMERICHOST;
            right += ::getaddrinfo("127.0.0.1", "80", &hints, &found) == 0;
            char host[64], service[64];
            right += ::getnameinfo(found->ai_addr, found->ai_addrlen, host, sizeof host, service,
                                   sizeof service, NI_NUMERICHOST | NI_NUMERICSERV) == 0 &&
                     std::string(host) == "127.0.0.1" && std::string(service) == "80";
            ::freeaddrinfo(found);
            done = true;
        });
        wait_until([&] { return done.load(); });
    }, {.procs = 1});
    CHECK(right == 11);
}

TEST_CASE("waiting for a signal lets others run") {
    sigset_t usr, before, none;
    ::sigemptyset(&none);
    ::sigemptyset(&usr);
    ::sigaddset(&usr, SIGUSR1);
    ::sigaddset(&usr, SIGUSR2);
    ::pthread_sigmask(SIG_BLOCK, &usr, &before);
    const auto handler = std::signal(SIGUSR2, [](int) {});
    std::atomic<pthread_t> sleeper{};
    const auto kill = [&] { ::pthread_kill(sleeper, SIGUSR1); };
    const auto waiting = [&](auto wait) {
        return [&, wait] {
            sleeper = ::pthread_self();
            return wait();
        };
    };
    try_all({
        {"sigwait", waiting([&] {
            int got = 0;
            return ::sigwait(&usr, &got) == 0 && got == SIGUSR1;
        }), kill},
        {"sigwaitinfo", waiting([&] { return ::sigwaitinfo(&usr, nullptr) == SIGUSR1; }), kill},
        {"sigtimedwait", waiting([&] {
            const timespec most{20, 0};
            return ::sigtimedwait(&usr, nullptr, &most) == SIGUSR1;
        }), kill},
        {"sigsuspend", waiting([&] {
            sigset_t all_but = before;
            ::sigdelset(&all_but, SIGUSR2);
            return ::sigsuspend(&all_but) == -1 && errno == EINTR;
        }), [&] { ::pthread_kill(sleeper, SIGUSR2); }},
    });
    // A signal that comes before the pause is not seen by it: there are more.
    std::atomic<bool> paused{false};
    std::thread killer;
    try_call({"pause", waiting([&] {
        ::pthread_sigmask(SIG_UNBLOCK, &usr, nullptr);
        const bool right = ::pause() == -1 && errno == EINTR;
        paused = true;
        ::pthread_sigmask(SIG_BLOCK, &usr, nullptr);
        return right;
    }), [&] {
        killer = std::thread([&] {
            while (!paused) {
                ::pthread_kill(sleeper, SIGUSR2);
                std::this_thread::sleep_for(10ms);
            }
        });
    }});
    if (killer.joinable()) killer.join();
    timespec at_once{};
    while (::sigtimedwait(&usr, nullptr, &at_once) > 0) {}
    std::signal(SIGUSR2, handler);
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST_CASE("queues of System V let others run") {
    struct message {
        long type;
        char text[1024];
    };
    const int queue = ::msgget(IPC_PRIVATE, 0600);
    const int count = ::semget(IPC_PRIVATE, 1, 0600);
    if (queue < 0 || count < 0) return;  // this kernel has none
    message m{1, "x"};
    message got{};
    sembuf take{0, -1, 0};
    sembuf give{0, 1, 0};
    const timespec most{20, 0};
    const auto post = [&] { ::semop(count, &give, 1); };
    try_all({
        {"msgrcv", [&] { return ::msgrcv(queue, &got, 8, 0, 0) == 2 && got.text[0] == 'x'; },
         [&] { ::msgsnd(queue, &m, 2, 0); }},
        {"semop", [&] { return ::semop(count, &take, 1) == 0; }, post},
        {"semtimedop", [&] { return ::semtimedop(count, &take, 1, &most) == 0; }, post},
    });
    while (::msgsnd(queue, &m, sizeof m.text, IPC_NOWAIT) == 0) {}
    try_call({"msgsnd", [&] { return ::msgsnd(queue, &m, sizeof m.text, 0) == 0; },
              [&] { ::msgrcv(queue, &got, sizeof got.text, 0, 0); }});
    ::msgctl(queue, IPC_RMID, nullptr);
    ::semctl(count, 0, IPC_RMID);
}

TEST_CASE("queues of POSIX let others run") {
    const std::string name = "/pirn-gates-" + std::to_string(::getpid());
    mq_attr attributes{};
    attributes.mq_maxmsg = 1;
    attributes.mq_msgsize = 8;
    const mqd_t q = ::mq_open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600, &attributes);
    if (q == static_cast<mqd_t>(-1)) return;  // this kernel has none
    ::mq_unlink(name.c_str());
    char text[8];
    const auto put = [&] { ::mq_send(q, "x", 1, 0); };
    const auto get = [&] { ::mq_receive(q, text, sizeof text, nullptr); };
    try_all({
        {"mq_receive", [&] { return ::mq_receive(q, text, sizeof text, nullptr) == 1; }, put},
        {"mq_timedreceive", [&] {
            const timespec until = after(20s);
            return ::mq_timedreceive(q, text, sizeof text, nullptr, &until) == 1;
        }, put},
    });
    put();
    try_all({
        {"mq_send", [&] { return ::mq_send(q, "x", 1, 0) == 0; }, get},
        {"mq_timedsend", [&] {
            const timespec until = after(20s);
            return ::mq_timedsend(q, "x", 1, 0, &until) == 0;
        }, get},
    });
    ::mq_close(q);
}

#endif
