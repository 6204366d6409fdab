// SPDX-License-Identifier: MIT
// EXPECT procs: 1 2
// EXPECT stdout like: ^(?:caught 2 of 2, 0 damaged|memory cannot be limited here)\n
// When memory runs out, operator new throws for small sizes too, which usually need little stack.
#include <atomic>
#include <cstdio>
#include <new>

#include <sys/mman.h>
#include <sys/resource.h>

#include "test/prog/neighbours.h"

namespace {

std::atomic<int> caught{0};

struct node {
    node* next;
    char rest[4000];
};

// Lets the process have that much more address space than it has; -1: as much as it likes.
void limit_memory(long more) {
    rlimit limit{};
    ::getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = limit.rlim_max;
    long pages = 0;
    if (std::FILE* f = std::fopen("/proc/self/statm", "re"); more >= 0 && f != nullptr) {
        if (std::fscanf(f, "%ld", &pages) == 1)
            limit.rlim_cur = static_cast<rlim_t>(pages * 4096 + more);
        std::fclose(f);
    }
    ::setrlimit(RLIMIT_AS, &limit);
}

// False under an emulator that ignores the limit.
bool is_limited() {
    constexpr std::size_t k_too_much = 64 << 20;
    void* const p = ::mmap(nullptr, k_too_much, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p != MAP_FAILED) ::munmap(p, k_too_much);
    return p == MAP_FAILED;
}

[[gnu::noinline]] node* new_node(node* next) { return new node{next, {}}; }

[[gnu::noinline]] void use_up() {
    node* volatile all = nullptr;
    try {
        for (;;) all = new_node(all);
    } catch (const std::bad_alloc&) {
        ++caught;
    }
    while (node* n = all) {
        all = n->next;
        delete n;
    }
}

}  // namespace

int main() {
    limit_memory(16 << 20);
    const bool can_be_limited = is_limited();
    limit_memory(-1);
    if (!can_be_limited) {
        std::puts("memory cannot be limited here");
        return 0;
    }
    return pirn::run([] {
        int damaged = 0;
        for (int round = 0; round < 2; ++round) {
            damaged += neighbours::damaged_by([] {
                limit_memory(16 << 20);
                use_up();
                limit_memory(-1);
            });
        }
        std::printf("caught %d of 2, %d damaged\n", caught.load(), damaged);
    });
}
