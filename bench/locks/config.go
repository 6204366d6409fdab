// SPDX-License-Identifier: MIT

// Mirrors config.h.
package main

const kOps = 20_000_000

const kCrowd = 8
