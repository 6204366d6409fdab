// SPDX-License-Identifier: MIT
// EXPECT status 2: panic: what f threw
// EXPECT stderr: panic: what f threw
// EXPECT stderr: [running]:
// W09: an exception that leaves a function given to wait_group::go ends the process; wait does not
// return first.
#include <cstdlib>
#include <stdexcept>

#include <pirn/runtime.h>
#include <pirn/wait_group.h>

int main() {
    return pirn::run([] {
        pirn::wait_group wg;
        wg.go([] { throw std::runtime_error("what f threw"); });
        wg.wait();
        std::_Exit(3);
    });
}
