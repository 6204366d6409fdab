// SPDX-License-Identifier: MIT
// EXPECT stdout: 5050 5050 2
// EXPECT stdout: 5050 5050 2
// EXPECT stdout: 5050 5050 2
// EXPECT stdout: its threads are gone, no handler is left
// Q05: a shared object that uses goroutines, by a run time of its own, is loaded, used and
// unloaded, again and again, by a program that knows nothing of it.
#include <csignal>
#include <cstdio>

#include <dirent.h>
#include <dlfcn.h>
#include <unistd.h>

namespace {

int threads() {
    int n = 0;
    DIR* all = ::opendir("/proc/self/task");
    if (all == nullptr) return -1;
    while (const dirent* one = ::readdir(all)) n += one->d_name[0] != '.';
    ::closedir(all);
    return n;
}

template <class F>
F* find(void* library, const char* name) {
    return reinterpret_cast<F*>(::dlsym(library, name));
}

}  // namespace

int main() {
    const int threads_before = threads();  // an emulator has one of its own
    constexpr int k_signals[] = {SIGSEGV, SIGBUS, SIGPIPE, SIGQUIT, SIGURG};
    for (int i = 0; i < 3; ++i) {
        void* library = ::dlopen(PLUGIN, RTLD_NOW | RTLD_LOCAL);
        if (library == nullptr) {
            std::printf("%s\n", ::dlerror());
            return 1;
        }
        const auto sum = find<int(int)>(library, "plugin_sum");
        const auto runs = find<int()>(library, "plugin_runs");
        const int first = sum(100), second = sum(100);
        // Counted from 1 again: it is another one each time.
        std::printf("%d %d %d\n", first, second, runs());
        if (::dlclose(library) != 0 || ::dlopen(PLUGIN, RTLD_NOW | RTLD_NOLOAD) != nullptr) {
            std::printf("it stays\n");
            return 1;
        }
    }
    bool handlers = false;
    for (const int number : k_signals) {
        struct sigaction now {};
        ::sigaction(number, nullptr, &now);
        handlers = handlers || now.sa_handler != SIG_DFL;
    }
    // The kernel lists a thread that has been joined for a moment still.
    for (int i = 0; i < 1000 && threads() != threads_before; ++i) ::usleep(1000);
    if (threads() == threads_before && !handlers)
        std::printf("its threads are gone, no handler is left\n");
}
