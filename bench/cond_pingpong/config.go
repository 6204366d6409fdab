// SPDX-License-Identifier: MIT

// Mirrors config.h.
package main

const kOps = 2_000_000
