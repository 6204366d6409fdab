// SPDX-License-Identifier: MIT

// locks, go: Go's locks between goroutines. What they do is in locks.h.
package main

import (
	"sync"

	"pirn/bench/harness"
)

// run runs f n times at once and waits.
func run(n uint64, f func()) {
	var all sync.WaitGroup
	all.Add(int(n))
	for i := uint64(0); i < n; i++ {
		go func() {
			f()
			all.Done()
		}()
	}
	all.Wait()
}

// guarded is a lock and the number that it protects; Go allocates an object of a cache line's size
// in a line of its own.
type guarded[T any] struct {
	lock   T
	number uint64
	_      [32]byte
}

func count(ops uint64, crowd uint64) {
	shared := &guarded[sync.Mutex]{}
	each := ops / crowd
	run(crowd, func() {
		s := shared
		for left := each; left > 0; left-- {
			s.lock.Lock()
			s.number++
			s.lock.Unlock()
		}
	})
	if shared.number != each*crowd {
		harness.Fail(1, "a count was lost")
	}
}

func read(ops uint64, crowd uint64) {
	shared := &guarded[sync.RWMutex]{number: 1}
	each := ops / crowd
	run(crowd, func() {
		s := shared
		sum := uint64(0)
		for left := each; left > 0; left-- {
			s.lock.RLock()
			sum += s.number
			s.lock.RUnlock()
		}
		if sum != each {
			harness.Fail(1, "a value was lost")
		}
	})
}

func main() {
	args := harness.Parse(kOps, 0)
	ns := harness.NsPerOp(args.Ops, func(ops uint64) { count(ops, 1) })
	crowdNs := harness.NsPerOp(args.Ops, func(ops uint64) { count(ops, kCrowd) })
	readNs := harness.NsPerOp(args.Ops, func(ops uint64) { read(ops, 1) })
	readersNs := harness.NsPerOp(args.Ops, func(ops uint64) { read(ops, kCrowd) })
	harness.NewReport("locks", args, ns, "ns").
		Figure("ops", float64(args.Ops)).
		Figure("crowd_ns", crowdNs).
		Figure("read_ns", readNs).
		Figure("readers_ns", readersNs).
		Print()
}
