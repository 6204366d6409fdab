// SPDX-License-Identifier: MIT
// EXPECT status 7
// EXPECT stderr: fatal error: this is the child of a fork, which has no runtime
// EXPECT stderr like: goroutine \d+ \[running\]:
// EXPECT stderr: waits_in_child
// EXPECT stderr: fatal error: this is the child of a fork, which has no runtime
// EXPECT stderr: fatal error: this is the child of a fork, which has no runtime
// Q02 In the child of a fork a goroutine that blocks, yields or ends is told so.
#include <sys/wait.h>
#include <unistd.h>

#include <pirn/chan.h>
#include <pirn/runtime.h>

[[gnu::noinline]] static void waits_in_child(pirn::chan<int> never) {
    never.recv();
    asm volatile("");
}

template <class F>
static bool dies(F f) {
    const pid_t child = ::fork();
    if (child == 0) {
        f();
        return false;
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0) {}
    return WIFEXITED(status) && WEXITSTATUS(status) == 2;
}

int main() {
    return pirn::run([] {
        const auto never = pirn::make_chan<int>();
        const auto results = pirn::make_chan<int>();
        pirn::go([=] { results.send(dies([&] { waits_in_child(never); }) ? 1 : 0); });
        int sum = *results.recv();
        pirn::go([=] { results.send(dies([] { pirn::yield(); }) ? 2 : 0); });
        sum += *results.recv();
        if (dies([] {})) sum += 4;  // the main goroutine of the child returns
        return sum;
    });
}
