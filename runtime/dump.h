// SPDX-License-Identifier: MIT
// Dumps: goroutines and frames as text, in Go's form.
#pragma once

#include "runtime/g.h"

namespace pirn::rt {

// "goroutine 7 "name" [chan receive]:" and where it was created.
void print_goroutine_header(int fd, const g* gp, const char* state);
void print_created_by(int fd, const g* gp);
// The calling stack's frames, the innermost `skip` left out.
void print_own_frames(int fd, int skip);
// The fatal hook: the caller's frames, then every other goroutine.
void dump_all(int fd);
// The function that a goroutine runs, for reports.
void describe_entry(const g* gp, char* out, std::size_t size);

}  // namespace pirn::rt
