// SPDX-License-Identifier: MIT
// What must hold in a process before its stacks can grow.
#pragma once

namespace pirn::rt {

// Looks at the process once, at the start of a run. Fatal, with the way out, where growing stacks
// cannot work: a shadow stack is on, or libgcc's split stacks are in the program, too. Finds out
// how much stack malloc needs. What only small stacks rule out, such as lazy binding, is fatal when
// the first goroutine starts on one.
void look_at_process();

// The calling thread's limit word must not be somebody else's. Fatal if it is.
void look_at_thread();

}  // namespace pirn::rt
