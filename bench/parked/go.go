// SPDX-License-Identifier: MIT

// parked, go: goroutines that all receive from one channel until it is closed.
package main

import (
	"runtime"
	"sync"
	"time"

	"pirn/bench/harness"
)

func main() {
	args := harness.Parse(0, kCountGo)
	gate := make(chan struct{})
	var arrived, ended sync.WaitGroup
	arrived.Add(int(args.Count))
	ended.Add(int(args.Count))
	runtime.GC()
	residentBefore := harness.ResidentBytes()
	start := time.Now()
	for i := uint64(0); i < args.Count; i++ {
		go func() {
			arrived.Done()
			<-gate
			ended.Done()
		}()
	}
	arrived.Wait()
	spawned := time.Since(start)
	time.Sleep(kSettleMs * time.Millisecond)
	resident := harness.ResidentBytes() - residentBefore

	closing := time.Now()
	close(gate)
	ended.Wait()
	released := time.Since(closing)

	n := float64(args.Count)
	harness.NewReport("parked", args, float64(resident)/n, "bytes").
		Figure("count", n).
		Figure("spawn_ns", float64(spawned.Nanoseconds())/n).
		Figure("release_ns", float64(released.Nanoseconds())/n).
		Print()
}
