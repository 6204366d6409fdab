// SPDX-License-Identifier: MIT

// worker_pool, go: one goroutine gives a pool tasks that only report to a wait group. The pool's
// algorithm is that of bytedance's gopool: one linked list of tasks under a mutex, workers that end
// when it is empty, tasks and workers recycled by sync.Pool.
package main

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"pirn/bench/harness"
)

type task struct {
	ctx  context.Context
	f    func()
	next *task
}

type worker struct {
	pool *pool
}

type pool struct {
	name           string
	cap            int32
	scaleThreshold int32

	// Guarded by lock.
	lock sync.Mutex
	head *task
	tail *task

	taskCount   int32
	workerCount int32
}

var taskPool = sync.Pool{New: func() any { return &task{} }}
var workerPool = sync.Pool{New: func() any { return &worker{} }}

func (p *pool) goWith(ctx context.Context, f func()) {
	t := taskPool.Get().(*task)
	t.ctx = ctx
	t.f = f
	p.lock.Lock()
	if p.head == nil {
		p.head = t
	} else {
		p.tail.next = t
	}
	p.tail = t
	p.lock.Unlock()
	atomic.AddInt32(&p.taskCount, 1)
	workers := atomic.LoadInt32(&p.workerCount)
	if (atomic.LoadInt32(&p.taskCount) >= p.scaleThreshold &&
		workers < atomic.LoadInt32(&p.cap)) || workers == 0 {
		atomic.AddInt32(&p.workerCount, 1)
		w := workerPool.Get().(*worker)
		w.pool = p
		go w.run()
	}
}

func (w *worker) run() {
	for {
		p := w.pool
		p.lock.Lock()
		t := p.head
		if t == nil {
			atomic.AddInt32(&p.workerCount, -1)
			p.lock.Unlock()
			w.pool = nil
			workerPool.Put(w)
			return
		}
		p.head = t.next
		atomic.AddInt32(&p.taskCount, -1)
		p.lock.Unlock()
		p.do(t)
		*t = task{}
		taskPool.Put(t)
	}
}

func (p *pool) do(t *task) {
	defer func() {
		if r := recover(); r != nil {
			fmt.Fprintf(os.Stderr, "panic in %s: %v: %s\n", p.name, r, debug.Stack())
		}
	}()
	t.f()
}

func main() {
	args := harness.Parse(kOps, 0)
	p := &pool{name: "bench", cap: kCap, scaleThreshold: 1}
	ns := harness.NsPerOp(args.Ops, func(ops uint64) {
		var done sync.WaitGroup
		done.Add(int(ops))
		for i := uint64(0); i < ops; i++ {
			p.goWith(context.Background(), func() { done.Done() })
		}
		done.Wait()
	})
	if atomic.LoadInt32(&p.taskCount) != 0 {
		harness.Fail(1, "a task was not done")
	}
	harness.NewReport("worker_pool", args, ns, "ns").Figure("ops", float64(args.Ops)).Print()
}
