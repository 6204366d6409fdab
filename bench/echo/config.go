// SPDX-License-Identifier: MIT

// Mirrors config.h.
package main

const kBufferSizeBytes = 4096
