// SPDX-License-Identifier: MIT

// Mirrors config.h.
package main

const kOps = 2_000_000

const kChildren = 100_000

const kLevels = 10
