// SPDX-License-Identifier: MIT

// spawn, go: batches of goroutines that do nothing but report to a wait group.
package main

import (
	"sync"

	"pirn/bench/harness"
)

func runBatch(n uint64) {
	var ended sync.WaitGroup
	for i := uint64(0); i < n; i++ {
		ended.Add(1)
		go func() { ended.Done() }()
	}
	ended.Wait()
}

func main() {
	args := harness.Parse(kOps, kBatch)
	ns := harness.NsPerOp(args.Ops, func(ops uint64) {
		for left := ops; left > 0; {
			n := args.Count
			if left < n {
				n = left
			}
			runBatch(n)
			left -= n
		}
	})
	harness.NewReport("spawn", args, ns, "ns").Figure("ops", float64(args.Ops)).Print()
}
