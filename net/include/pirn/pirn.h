// SPDX-License-Identifier: MIT
// Everything: the header of all public headers.
#pragma once

#include <pirn/chan.h>
#include <pirn/context.h>
#include <pirn/coro.h>
#include <pirn/debug.h>
#include <pirn/io.h>
#include <pirn/net.h>
#include <pirn/runtime.h>
#include <pirn/select.h>
#include <pirn/sleep.h>
#include <pirn/sync.h>
#include <pirn/time.h>
