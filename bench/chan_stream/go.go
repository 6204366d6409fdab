// SPDX-License-Identifier: MIT

// chan_stream, go: producers fill a buffered channel that consumers empty.
package main

import (
	"sync"
	"sync/atomic"

	"pirn/bench/harness"
)

// stream lets crowd producers share the operations, and crowd consumers add up what comes.
func stream(ops uint64, crowd uint64) {
	values := make(chan uint64, kCapacity)
	each := ops / crowd
	var sum uint64
	var produced, consumed sync.WaitGroup
	produced.Add(int(crowd))
	consumed.Add(int(crowd))
	for k := uint64(0); k < crowd; k++ {
		go func() {
			for i := uint64(1); i <= each; i++ {
				values <- i
			}
			produced.Done()
		}()
		go func() {
			mine := uint64(0)
			for value := range values {
				mine += value
			}
			atomic.AddUint64(&sum, mine)
			consumed.Done()
		}()
	}
	produced.Wait()
	close(values)
	consumed.Wait()
	if sum != crowd*(each*(each+1)/2) {
		harness.Fail(1, "a value was lost")
	}
}

func main() {
	args := harness.Parse(kOps, 0)
	ns := harness.NsPerOp(args.Ops, func(ops uint64) { stream(ops, 1) })
	crowdNs := harness.NsPerOp(args.Ops, func(ops uint64) { stream(ops, kCrowd) })
	harness.NewReport("chan_stream", args, ns, "ns").
		Figure("ops", float64(args.Ops)).
		Figure("crowd_ns", crowdNs).
		Print()
}
