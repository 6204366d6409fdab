// SPDX-License-Identifier: MIT

// cond_pingpong, go: two goroutines wait for each other on conditions. The game is table.h's.
package main

import (
	"sync"

	"pirn/bench/harness"
)

type table struct {
	mutex   sync.Mutex
	arrived [2]*sync.Cond
	hasBall int
	strokes uint64
}

func newTable() *table {
	t := &table{}
	t.arrived[0] = sync.NewCond(&t.mutex)
	t.arrived[1] = sync.NewCond(&t.mutex)
	return t
}

func (t *table) play(me int, strokes uint64) {
	for i := uint64(0); i < strokes; i++ {
		t.mutex.Lock()
		for t.hasBall != me {
			t.arrived[me].Wait()
		}
		t.strokes++
		t.hasBall = 1 - me
		t.arrived[1-me].Signal()
		t.mutex.Unlock()
	}
}

func main() {
	args := harness.Parse(kOps, 0)
	ns := harness.NsPerOp(args.Ops, func(ops uint64) {
		t := newTable()
		var other sync.WaitGroup
		other.Add(1)
		go func() {
			t.play(1, ops)
			other.Done()
		}()
		t.play(0, ops)
		other.Wait()
		if t.strokes != 2*ops {
			harness.Fail(1, "a stroke was lost")
		}
	})
	harness.NewReport("cond_pingpong", args, ns, "ns").Figure("ops", float64(args.Ops)).Print()
}
