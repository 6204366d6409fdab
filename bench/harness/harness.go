// SPDX-License-Identifier: MIT

// Package harness is what every Go contender shares: arguments, clock, memory figures and the
// result line. It is harness.h in Go; what changes here changes there.
package harness

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Arguments are the options that every contender knows; bench/README.md says what each counts.
type Arguments struct {
	Procs uint64 // --procs: GOMAXPROCS.
	Ops   uint64 // --ops: operations in the timed part.
	Count uint64 // --count: how many take part: goroutines, connections, leaves.
}

// Fail ends the program with one line on stderr.
func Fail(status int, format string, a ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", a...)
	os.Exit(status)
}

// Parse reads `--name N` pairs over the defaults and sets GOMAXPROCS to --procs.
// A bad flag is one line on stderr and status 2. What --divide makes smaller is ops or, in a
// workload that has none, count.
func Parse(ops, count uint64) Arguments {
	args := Arguments{Procs: 1, Ops: ops, Count: count}
	divide := uint64(1)
	targets := map[string]*uint64{"--procs": &args.Procs, "--ops": &args.Ops,
		"--count": &args.Count, "--divide": &divide}
	for i := 1; i < len(os.Args); i += 2 {
		target := targets[os.Args[i]]
		if target == nil {
			Fail(2, "unknown option: %s", os.Args[i])
		}
		if i+1 == len(os.Args) {
			Fail(2, "option without a number: %s", os.Args[i])
		}
		n, err := strconv.ParseUint(os.Args[i+1], 10, 64)
		if err != nil || n == 0 {
			Fail(2, "not a positive number: %s", os.Args[i+1])
		}
		*target = n
	}
	size := &args.Ops
	if *size == 0 {
		size = &args.Count
	}
	if *size /= divide; *size == 0 && (ops != 0 || count != 0) {
		*size = 1
	}
	runtime.GOMAXPROCS(int(args.Procs))
	return args
}

// NsPerOp calls body(n) with a tenth of the operations, untimed, as a warm-up, then body(ops),
// timed. It returns nanoseconds for one operation.
func NsPerOp(ops uint64, body func(n uint64)) float64 {
	if ops < 10 {
		body(1)
	} else {
		body(ops / 10)
	}
	start := time.Now() // Carries the monotonic clock, which Since uses.
	body(ops)
	return float64(time.Since(start).Nanoseconds()) / float64(ops)
}

// ResidentBytes is the process's resident set now (field 2 of /proc/self/statm).
func ResidentBytes() uint64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		Fail(1, "%v", err)
	}
	pages, err := strconv.ParseUint(strings.Fields(string(text))[1], 10, 64)
	if err != nil {
		Fail(1, "%v", err)
	}
	return pages * uint64(os.Getpagesize())
}

// PeakResidentBytes is the largest resident set the process has had (VmHWM).
func PeakResidentBytes() uint64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		Fail(1, "%v", err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "VmHWM:" {
			if kilobytes, err := strconv.ParseUint(fields[1], 10, 64); err == nil {
				return kilobytes * 1024
			}
		}
	}
	Fail(1, "no VmHWM in /proc/self/status")
	return 0
}

// Report is the result line: the figure that the workload is about, then named others.
type Report struct{ line strings.Builder }

// NewReport begins the line of the contender "go".
func NewReport(workload string, args Arguments, value float64, unit string) *Report {
	r := &Report{}
	fmt.Fprintf(&r.line,
		`{"workload":%q,"contender":"go","procs":%d,"value":%.10g,"unit":%q,"compiler":%q`,
		workload, args.Procs, value, unit, runtime.Version())
	return r
}

// Figure adds a named figure.
func (r *Report) Figure(name string, value float64) *Report {
	fmt.Fprintf(&r.line, `,%q:%.10g`, name, value)
	return r
}

// Print writes the line to stdout.
func (r *Report) Print() { fmt.Println(r.line.String() + "}") }
