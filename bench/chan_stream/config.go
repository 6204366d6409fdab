// SPDX-License-Identifier: MIT

// Mirrors config.h.
package main

const kOps = 10_000_000

const kCapacity = 100

const kCrowd = 4
