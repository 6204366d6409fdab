// SPDX-License-Identifier: MIT
// EXPECT stdout: child died of SIGPIPE
// N16: a SIGPIPE that is not io::fd's does what it does in any program.
#include <csignal>
#include <cstdio>

#include <sys/wait.h>
#include <unistd.h>

#include <pirn/runtime.h>

int main() {
    const pid_t child = ::fork();
    if (child == 0) {
        pirn::run([] {
            int p[2];
            if (::pipe(p) != 0) return;
            ::close(p[0]);
            (void)!::write(p[1], "x", 1);
        });
        ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE) std::puts("child died of SIGPIPE");
}
