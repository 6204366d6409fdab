// SPDX-License-Identifier: MIT

// select, go: a goroutine takes from two channels that two others feed; and looks in vain.
package main

import "pirn/bench/harness"

func fed(ops uint64) {
	left := make(chan uint64)
	right := make(chan uint64)
	half := ops / 2
	for _, c := range []chan uint64{left, right} {
		go func(c chan uint64) {
			for i := uint64(1); i <= half; i++ {
				c <- i
			}
		}(c)
	}
	sum := uint64(0)
	for i := uint64(0); i < 2*half; i++ {
		select {
		case v := <-left:
			sum += v
		case v := <-right:
			sum += v
		}
	}
	if sum != half*(half+1) {
		harness.Fail(1, "a value was lost")
	}
}

func noneReady(ops uint64) {
	left := make(chan uint64)
	right := make(chan uint64)
	missed := uint64(0)
	for i := uint64(0); i < ops; i++ {
		select {
		case <-left:
		case <-right:
		default:
			missed++
		}
	}
	if missed != ops {
		harness.Fail(1, "a value came from nowhere")
	}
}

func tryInVain(ops uint64) {
	empty := make(chan uint64)
	missed := uint64(0)
	for i := uint64(0); i < ops; i++ {
		select {
		case <-empty:
		default:
			missed++
		}
	}
	if missed != ops {
		harness.Fail(1, "a value came from nowhere")
	}
}

func main() {
	args := harness.Parse(kOps, 0)
	ns := harness.NsPerOp(args.Ops, fed)
	noneNs := harness.NsPerOp(args.Ops, noneReady)
	tryNs := harness.NsPerOp(args.Ops, tryInVain)
	harness.NewReport("select", args, ns, "ns").
		Figure("ops", float64(args.Ops)).
		Figure("none_ns", noneNs).
		Figure("try_recv_ns", tryNs).
		Print()
}
