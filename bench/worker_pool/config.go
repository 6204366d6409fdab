// SPDX-License-Identifier: MIT

// Mirrors config.h.
package main

const kOps = 1_000_000

const kCap = 8
