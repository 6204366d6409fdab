// SPDX-License-Identifier: MIT

// skynet, go: a tree of goroutines that send the sums of their children up over channels.
package main

import (
	"time"

	"pirn/bench/harness"
)

func node(up chan<- uint64, number, leaves uint64) {
	if leaves == 1 {
		up <- number
		return
	}
	results := make(chan uint64)
	share := leaves / kChildren
	for i := uint64(0); i < kChildren; i++ {
		go node(results, number+i*share, share)
	}
	sum := uint64(0)
	for i := 0; i < kChildren; i++ {
		sum += <-results
	}
	up <- sum
}

func checkLeaves(leaves uint64) {
	for leaves%kChildren == 0 {
		leaves /= kChildren
	}
	if leaves != 1 {
		harness.Fail(2, "--count must be a power of 10")
	}
}

func main() {
	args := harness.Parse(0, kLeaves)
	checkLeaves(args.Count)
	result := make(chan uint64)
	start := time.Now()
	go node(result, 0, args.Count)
	sum := <-result
	elapsed := time.Since(start)
	if sum != args.Count*(args.Count-1)/2 {
		harness.Fail(1, "the sum is wrong")
	}
	harness.NewReport("skynet", args, elapsed.Seconds(), "s").
		Figure("count", float64(args.Count)).
		Figure("peak_rss_mb", float64(harness.PeakResidentBytes())*1e-6).
		Print()
}
