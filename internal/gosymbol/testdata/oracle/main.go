// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Command oracle says what the Go runtime knows of addresses of itself. It prints
// the address of main.main, then for each line of its input, which is an address
// less that one, a line of frames, innermost first: function, file and line
// between units separators, frames ended by record separators. A line that starts
// with ! has the innermost frame only.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"runtime"
	"sort"
	"strconv"
	"strings"
	_ "unsafe"
)

// expand appends the return addresses of the calls that were inlined at the last
// one: the runtime does so for its own profiles.
//
//go:linkname expand runtime/pprof.runtime_expandFinalInlineFrame
func expand(stack []uintptr) []uintptr

func main() {
	work(len(os.Args))
	start := reflect.ValueOf(main).Pointer()
	out := bufio.NewWriter(os.Stdout)
	fmt.Fprintf(out, "%d\n", start)
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		off, err := strconv.ParseInt(in.Text(), 10, 64)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		describe(out, uintptr(int64(start)+off))
	}
	out.Flush()
}

func describe(out *bufio.Writer, pc uintptr) {
	defer out.WriteByte('\n')
	f := runtime.FuncForPC(pc)
	if f == nil {
		return
	}
	if next := runtime.FuncForPC(pc + 1); next == nil || next.Entry() != f.Entry() {
		// It takes pc+1 for the start of the next function.
		file, line := f.FileLine(pc)
		fmt.Fprintf(out, "!%s\x1f%s\x1f%d\x1e", f.Name(), file, line)
		return
	}
	frames := runtime.CallersFrames(expand([]uintptr{pc + 1}))
	for {
		frame, more := frames.Next()
		fmt.Fprintf(out, "%s\x1f%s\x1f%d\x1e", frame.Function, frame.File, frame.Line)
		if !more {
			return
		}
	}
}

// What follows is there to be described: inlined three deep, closures, methods.

type shape interface{ area() float64 }

type square struct{ side float64 }

func (s square) area() float64 { return s.side * s.side }

type named struct {
	shape // its wrapper is generated
	name  string
}

var sink float64

func inner(x float64) float64 {
	if x < 0 {
		return -x
	}
	return x + 1
}

func middle(x float64) float64 {
	y := inner(x)
	return y * 2
}

func outer(x float64) float64 {
	y := middle(x)
	return y - 3
}

//go:noinline
func work(n int) {
	shapes := []shape{square{2}, named{square{float64(n)}, "n"}, &named{shape: square{1}}}
	for _, s := range shapes {
		sink += outer(s.area())
	}
	add := func(x float64) func() {
		return func() { sink += outer(x) }
	}
	add(3)()
	defer func() { sink -= inner(float64(n)) }()
	generic(n)
	b, _ := json.Marshal(map[string]int{"n": n})
	words := strings.Fields(regexp.MustCompile("[a-z]+").ReplaceAllString(string(b), "x"))
	sort.Strings(words)
}
