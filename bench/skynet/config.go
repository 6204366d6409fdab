// SPDX-License-Identifier: MIT

// Mirrors config.h.
package main

const (
	kLeaves   = 1_000_000
	kChildren = 10
)
