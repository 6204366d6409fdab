// SPDX-License-Identifier: MIT

// Mirrors config.h.
package main

const (
	kCountGo  = 1_000_000
	kSettleMs = 50
)
