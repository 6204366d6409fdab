// SPDX-License-Identifier: MIT
// The Go contenders: no dependency outside the standard library, so that no network is needed.
module pirn/bench

go 1.19
