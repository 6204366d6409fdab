// SPDX-License-Identifier: MIT

// context, go: makes contexts, cancels them one by one and as a crowd, and looks values up.
package main

import (
	"context"
	"time"

	"pirn/bench/harness"
)

func makeAndCancel(parent context.Context, ops uint64) {
	for i := uint64(0); i < ops; i++ {
		ctx, cancel := context.WithCancel(parent)
		cancel()
		if ctx.Err() == nil {
			harness.Fail(1, "a context was not cancelled")
		}
	}
}

type cancelable struct {
	ctx    context.Context
	cancel context.CancelFunc
}

// crowd makes children of one parent, which cancels them, `rounds` times.
func crowd(rounds, count uint64) (build, cancelled time.Duration) {
	children := make([]cancelable, 0, count)
	for r := uint64(0); r < rounds; r++ {
		parent, cancel := context.WithCancel(context.Background())
		begin := time.Now()
		for i := uint64(0); i < count; i++ {
			ctx, cancelChild := context.WithCancel(parent)
			children = append(children, cancelable{ctx, cancelChild})
		}
		built := time.Now()
		cancel()
		cancelled += time.Since(built)
		build += built.Sub(begin)
		for i := range children {
			if children[i].ctx.Err() == nil {
				harness.Fail(1, "a child was not cancelled")
			}
		}
		children = children[:0]
	}
	return build, cancelled
}

// Pointers, as net/http's keys are: the cheapest to compare.
type key struct{ number int }

func lookUp(leaf context.Context, first *key, ops uint64) {
	sum := uint64(0)
	for i := uint64(0); i < ops; i++ {
		sum += leaf.Value(first).(uint64)
	}
	if sum != ops {
		harness.Fail(1, "a wrong value")
	}
}

func main() {
	args := harness.Parse(kOps, 0)
	aloneNs := harness.NsPerOp(args.Ops, func(ops uint64) {
		makeAndCancel(context.Background(), ops)
	})
	live, end := context.WithCancel(context.Background())
	belowNs := harness.NsPerOp(args.Ops, func(ops uint64) { makeAndCancel(live, ops) })
	end()

	count := uint64(kChildren)
	if args.Ops < count {
		count = args.Ops
	}
	rounds := args.Ops / count
	crowd(1, count)
	build, cancelled := crowd(rounds, count)
	perChild := func(d time.Duration) float64 {
		return float64(d.Nanoseconds()) / float64(rounds*count)
	}

	leaf := context.Background()
	var first *key
	for i := 0; i < kLevels; i++ {
		k := &key{i}
		if first == nil {
			first = k
		}
		leaf = context.WithValue(leaf, k, uint64(i+1))
	}
	valueNs := harness.NsPerOp(args.Ops, func(ops uint64) { lookUp(leaf, first, ops) })

	harness.NewReport("context", args, aloneNs, "ns").
		Figure("ops", float64(args.Ops)).
		Figure("below_ns", belowNs).
		Figure("child_build_ns", perChild(build)).
		Figure("child_cancel_ns", perChild(cancelled)).
		Figure("value_ns", valueNs).
		Print()
}
