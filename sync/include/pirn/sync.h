// SPDX-License-Identifier: MIT
// Everything that synchronizes without channels.
#pragma once

#include <pirn/mutex.h>
#include <pirn/rw_mutex.h>
#include <pirn/wait_group.h>
