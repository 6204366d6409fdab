// SPDX-License-Identifier: MIT
// Writes the text again with markers, checks, second names, renamed calls and thunks in it.
#pragma once

#include <string>
#include <vector>

#include "split/cpu.h"
#include "split/frames.h"
#include "split/reader.h"

namespace split {

// Set once, by the arguments: functions go to the section pirn_text.
extern bool runtime_text;

std::string write(const unit& u, const cpu& c, const std::vector<frame>& frames);

// One line for each function: name, frame, need, bytes of arguments (-1: all), dynamic.
std::string frame_list(const unit& u, const cpu& c, const std::vector<frame>& frames);

}  // namespace split
