// SPDX-License-Identifier: MIT

// Mirrors config.h.
package main

const kOps = 50_000_000

const kMark = 1234567
