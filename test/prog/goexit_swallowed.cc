// SPDX-License-Identifier: MIT
// EXPECT status 2
// EXPECT stderr: fatal error: goexit: a catch (...) did not rethrow
// goexit cannot be caught.
#include <pirn/runtime.h>

int main() {
    return pirn::run([] {
        try {
            pirn::goexit();
        } catch (...) {
        }
        return 0;
    });
}
