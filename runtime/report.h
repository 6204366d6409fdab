// SPDX-License-Identifier: MIT
// What layers above the runtime print of the caller, for reports that do not end the process.
#pragma once

namespace pirn::rt {

// Its header, as in dumps, its frames but for the innermost `skip`, and where it was created. On a
// foreign thread: the frames.
void print_caller(int fd, int skip);

}  // namespace pirn::rt
