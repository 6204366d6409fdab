// SPDX-License-Identifier: MIT

// yield, go: two goroutines call runtime.Gosched() in turn.
package main

import (
	"runtime"
	"sync"

	"pirn/bench/harness"
)

func yieldTimes(n uint64) {
	for i := uint64(0); i < n; i++ {
		runtime.Gosched()
	}
}

func bothYield(ops uint64) {
	var ended sync.WaitGroup
	ended.Add(1)
	go func() {
		yieldTimes(ops / 2)
		ended.Done()
	}()
	yieldTimes(ops / 2)
	ended.Wait()
}

func main() {
	args := harness.Parse(kOps, 0)
	ns := harness.NsPerOp(args.Ops, bothYield)
	harness.NewReport("yield", args, ns, "ns").Figure("ops", float64(args.Ops)).Print()
}
