// SPDX-License-Identifier: MIT
// EXPECT env: PIRN_DEBUG=stackstat=1
// EXPECT stderr: stackstat: most bytes of stack, goroutines, entry function
// EXPECT stderr like: \nstackstat: +[1-9][0-9]{5} +3 .*run_deep
// EXPECT stderr like: \nstackstat: +[1-9][0-9]{2,3} +20 .*run_shallow
// High-water marks for each entry function, the highest first: goroutines that go 100 KB deep once,
// and others that stay on their blocks.
#include <atomic>
#include <cstddef>

#include <pirn/runtime.h>

static void use(volatile char* frame, std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; i += 64) frame[i] = 1;
}

[[gnu::noinline]] static void deep() {
    volatile char frame[100'000];
    use(frame, sizeof frame);
}
[[gnu::noinline]] static void shallow() {
    volatile char frame[64];
    use(frame, sizeof frame);
}

// Not a wait group, which may have to wake a thread, by foreign code.
static std::atomic<int> ended{0};

struct run_deep {
    void operator()() const {
        deep();
        ++ended;
    }
};
struct run_shallow {
    void operator()() const {
        shallow();
        ++ended;
    }
};

int main() {
    return pirn::run([] {
        for (int i = 0; i < 3; ++i) pirn::go(run_deep{});
        for (int i = 0; i < 20; ++i) pirn::go(run_shallow{});
        while (ended < 23 || pirn::num_goroutine() > 1) pirn::yield();
    });
}
