// SPDX-License-Identifier: MIT

// Mirrors config.h.
package main

const kOps = 5_000_000
