// SPDX-License-Identifier: MIT
// Everything that synchronizes without channels.
#pragma once

#include <pirn/barrier.h>
#include <pirn/cond.h>
#include <pirn/error_group.h>
#include <pirn/future.h>
#include <pirn/goroutine_scope.h>
#include <pirn/latch.h>
#include <pirn/mutex.h>
#include <pirn/once.h>
#include <pirn/pool.h>
#include <pirn/recursive_mutex.h>
#include <pirn/rw_mutex.h>
#include <pirn/semaphore.h>
#include <pirn/sync_map.h>
#include <pirn/wait_group.h>
#include <pirn/worker_pool.h>
