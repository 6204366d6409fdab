// SPDX-License-Identifier: MIT
// Everything that synchronizes without channels.
#pragma once

#include <pirn/cond.h>
#include <pirn/mutex.h>
#include <pirn/recursive_mutex.h>
#include <pirn/rw_mutex.h>
#include <pirn/semaphore.h>
#include <pirn/wait_group.h>
