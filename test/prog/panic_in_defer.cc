// SPDX-License-Identifier: MIT
// EXPECT status 2
// EXPECT stderr: panic: while unwinding
// EXPECT stderr: goroutine
// EXPECT stderr: [running]:
// A panic out of a destructor while another exception is on its way ends the process as a panic
// does, with the goroutine's frames.
#include <pirn/runtime.h>

int main() {
    // Not known to the compiler, which would else see that the handler below is never reached, drop
    // it, and so make the first panic the uncaught one.
    static volatile bool unwinds = true;
    return pirn::run([] {
        try {
            pirn::defer d{[] {
                if (unwinds) throw pirn::panic("while unwinding");
            }};
            throw pirn::panic("first");
        } catch (const pirn::panic&) {
        }
    });
}
