// SPDX-License-Identifier: MIT

// chan_pingpong, go: a number goes to another goroutine and back over two unbuffered channels.
package main

import "pirn/bench/harness"

func roundTrips(ops uint64) {
	ping := make(chan uint64)
	pong := make(chan uint64)
	go func() {
		for value := range ping {
			pong <- value
		}
		close(pong)
	}()
	for i := uint64(0); i < ops; i++ {
		ping <- i
		if <-pong != i {
			harness.Fail(1, "the wrong value came back")
		}
	}
	close(ping)
	if _, ok := <-pong; ok {
		harness.Fail(1, "a value too many came back")
	}
}

func main() {
	args := harness.Parse(kOps, 0)
	ns := harness.NsPerOp(args.Ops, roundTrips)
	harness.NewReport("chan_pingpong", args, ns, "ns").Figure("ops", float64(args.Ops)).Print()
}
