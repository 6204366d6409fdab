// SPDX-License-Identifier: MIT
// fork and exec out of a running program.
#include "test/support/fixture.h"
#include "test/support/mailbox.h"
#include "stack/map.h"

#include <atomic>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include <pirn/runtime.h>
#include <pirn/sleep.h>

using namespace pirn;
using namespace pirn::test;

namespace {

// The exit status of a child that calls f; -1 where it ended otherwise.
template <class F>
int status_of_child(F f) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(f());
    int status = 0;
    while (::waitpid(child, &status, 0) < 0) {}
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

template <class F>
bool panics_with(std::string_view text, F f) {
    try {
        f();
    } catch (const panic& p) {
        return std::string_view(p.what()).find(text) != std::string_view::npos;
    }
    return false;
}

// Deep enough to grow by a few segments, where stacks grow.
#ifdef PIRN_SPLIT
constexpr int k_deep = 2000;
#else
constexpr int k_deep = 200;
#endif
[[gnu::noinline]] int sum_below(int n) {
    volatile char frame[256];
    frame[0] = 1;
    return n == 0 ? 0 : frame[0] + sum_below(n - 1);
}

int run_in_child() {
    return run([] {
        mailbox there, back;
        int n = 0;
        go([&] {
            for (int i = 0; i < 100; ++i) {
                there.take();
                n += sum_below(20) / 20;
                back.put();
            }
        });
        for (int i = 0; i < 100; ++i) {
            there.put();
            back.take();
        }
        sleep_for(std::chrono::milliseconds(1));
        return n;
    }, {.procs = 1});
}

}  // namespace

TEST_CASE("Q01 fork and exec from goroutines, while others run") {
    on_procs([](int procs) {
        std::atomic<int> right{0}, done{0};
        std::atomic<bool> stop{false};
        run([&] {
            go([&] { while (!stop) yield(); });
            for (int i = 0; i < 6; ++i) {
                go([&, i] {
                    const std::string command = "exit " + std::to_string(i + 40);
                    const int status = status_of_child([&] {
                        ::execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
                        return 1;
                    });
                    if (status == i + 40) ++right;
                    ++done;
                });
            }
            wait_until([&] { return done == 6; });
            stop = true;
        }, {.procs = procs});
        CHECK(right == 6);
    });
}

TEST_CASE("Q02 the child of a goroutine's fork can compute, but has no goroutines") {
    on_procs([](int procs) {
        int status = -1, after = 0;
        run([&] {
            std::atomic<bool> stop{false};
            for (int i = 0; i < 4; ++i) go([&] { while (!stop) yield(); });
            yield();
            std::atomic<bool> forked{false};
            go([&] {
                status = status_of_child([] {
                    if (sum_below(k_deep) != k_deep) return 1;
                    if (!panics_with("child of a fork", [] { go([] {}); })) return 2;
                    char wide[200] = {};
                    if (!panics_with("child of a fork", [wide] { go([wide] { (void)wide; }); }))
                        return 3;
                    if (!panics_with("child of a fork", [] { run([] {}); })) return 4;
                    if (!panics_with("outside any runtime", [] { maxprocs(2); })) return 5;
                    if (num_goroutine() != 0) return 6;
                    mailbox box;
                    box.put();
                    box.take();
                    return 7;
                });
                forked = true;
            });
            wait_until([&] { return forked.load(); });
            // Here all is as it was.
            go([&] { after = 1; });
            wait_until([&] { return after == 1; });
            stop = true;
        }, {.procs = procs});
        CHECK(status == 7);
    });
}

TEST_CASE("Q02 a thread that forks beside a run can have another one in the child") {
    on_procs([](int procs) {
        std::vector<int> statuses;
        run([&] {
            std::atomic<bool> stop{false};
            for (int i = 0; i < 50; ++i) {
                go([&] {
                    while (!stop) {
                        sum_below(50);
                        yield();
                    }
                });
            }
            std::atomic<bool> done{false};
            std::thread outside([&] {
                for (int i = 0; i < 5; ++i) {
                    statuses.push_back(status_of_child([] {
                        if (num_goroutine() != 0) return 1;
                        if (!panics_with("outside any runtime", [] { go([] {}); })) return 2;
                        // qemu cannot make threads in the child of a process that had some.
                        if (stack::emulated()) return 100;
                        const int first = run_in_child();
                        return first == 100 ? run_in_child() : first;
                    }));
                }
                done = true;
            });
            wait_until([&] { return done.load(); });
            outside.join();
            stop = true;
        }, {.procs = procs});
        CHECK(statuses == std::vector<int>(5, 100));
    });
}

TEST_CASE("a fork before and after a run leaves nothing that a run minds") {
    on_procs([](int procs) {
        CHECK(status_of_child(run_in_child) == 100);
        run([] {}, {.procs = procs});
        CHECK(status_of_child(run_in_child) == 100);
    });
}
