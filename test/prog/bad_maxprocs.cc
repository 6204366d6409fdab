// SPDX-License-Identifier: MIT
// EXPECT status 2
// EXPECT env: PIRN_MAXPROCS=many
// EXPECT stderr: fatal error: PIRN_MAXPROCS=many: a number from 1 to 1024 is wanted
// A setting that makes no sense is named, not ignored.
#include <pirn/runtime.h>

int main() {
    return pirn::run([] {});
}
