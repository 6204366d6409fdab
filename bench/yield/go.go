// SPDX-License-Identifier: MIT

// yield, go: two goroutines call runtime.Gosched() in turn.
package main

import (
	"runtime"
	"sync"

	"pirn/bench/harness"
)

//go:noinline
func yieldTimes(n uint64) {
	for i := uint64(0); i < n; i++ {
		runtime.Gosched()
	}
}

// yieldTimesElsewhere is the same loop at another place in the code.
//
//go:noinline
func yieldTimesElsewhere(n uint64) {
	for i := uint64(0); i < n; i++ {
		runtime.Gosched()
	}
}

// bothYield lets two goroutines share the operations, one in each loop.
func bothYield(ops uint64, loops ...func(n uint64)) {
	var ended sync.WaitGroup
	ended.Add(len(loops))
	for _, loop := range loops {
		go func(loop func(n uint64)) {
			loop(ops / uint64(len(loops)))
			ended.Done()
		}(loop)
	}
	ended.Wait()
}

func main() {
	args := harness.Parse(kOps, 0)
	ns := harness.NsPerOp(args.Ops, func(ops uint64) { bothYield(ops, yieldTimes, yieldTimes) })
	twoPlacesNs := harness.NsPerOp(args.Ops, func(ops uint64) {
		bothYield(ops, yieldTimes, yieldTimesElsewhere)
	})
	harness.NewReport("yield", args, ns, "ns").
		Figure("ops", float64(args.Ops)).
		Figure("two_places_ns", twoPlacesNs).
		Print()
}
