// SPDX-License-Identifier: MIT

// sync, go: a wait group, a once and a pool of objects that nobody has to wait for.
package main

import (
	"sync"

	"pirn/bench/harness"
)

func count(ops uint64) {
	var group sync.WaitGroup
	for i := uint64(0); i < ops; i++ {
		group.Add(1)
		group.Done()
		group.Wait()
	}
}

func call(ops uint64) {
	var o sync.Once
	calls := 0
	o.Do(func() { calls++ })
	for i := uint64(0); i < ops; i++ {
		o.Do(func() { calls++ })
	}
	if calls != 1 {
		harness.Fail(1, "it was not once")
	}
}

type object struct {
	mark uint64
	uses uint64
}

// recycle has one goroutine on each P take an object, use it and put it back.
func recycle(ops uint64, procs uint64) {
	objects := sync.Pool{New: func() any { return &object{mark: kMark} }}
	var all sync.WaitGroup
	all.Add(int(procs))
	each := ops / procs
	for k := uint64(0); k < procs; k++ {
		go func() {
			for i := uint64(0); i < each; i++ {
				mine := objects.Get().(*object)
				if mine.mark != kMark {
					harness.Fail(1, "an object was lost")
				}
				mine.uses++
				objects.Put(mine)
			}
			all.Done()
		}()
	}
	all.Wait()
}

func main() {
	args := harness.Parse(kOps, 0)
	ns := harness.NsPerOp(args.Ops, count)
	onceNs := harness.NsPerOp(args.Ops, call)
	poolNs := harness.NsPerOp(args.Ops, func(ops uint64) { recycle(ops, args.Procs) })
	harness.NewReport("sync", args, ns, "ns").
		Figure("ops", float64(args.Ops)).
		Figure("once_ns", onceNs).
		Figure("pool_ns", poolNs).
		Print()
}
