// SPDX-License-Identifier: MIT
// EXPECT env: LD_BIND_NOW=1
// EXPECT stderr: ran
// EXPECT not stderr: fatal error
// As it says, the program runs where it is told to bind everything at its start.
#include "test/prog/lazy_binding.cc"
