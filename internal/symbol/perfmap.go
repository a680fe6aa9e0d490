// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package symbol

import (
	"bufio"
	"bytes"
	"cmp"
	"container/heap"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

const (
	// maxPerfMapLines and maxPerfMapText bound what is kept of a map. That of a
	// large Java program has some 100,000 lines.
	maxPerfMapLines = 1 << 20
	maxPerfMapText  = 64 << 20
	// maxPerfMapLine is the longest line that is kept.
	maxPerfMapLine = 4096
	// MaxPerfMap bounds how much of a map is read: what is left out counts, too.
	MaxPerfMap = 128 << 20
)

// PerfMap names the code that a process made at run time, as it wrote it down in
// /tmp/perf-PID.map (tools/perf/Documentation/jit-interface.txt, v6.12). It is
// immutable.
type PerfMap struct{ functions table }

// jitted is a line of a map while it is being read. A later one replaces earlier
// ones where it overlaps them.
type jitted struct {
	extent
	name, length uint32 // in the text
	order        int32
}

// ReadPerfMap reads a map: lines of start, size and name, the first two in hex.
// Lines that are not understood are left out, the last of them may be unfinished.
// With ErrTooLarge the map holds what was read before.
func ReadPerfMap(r io.Reader) (*PerfMap, error) {
	limited := &io.LimitedReader{R: r, N: MaxPerfMap}
	in := bufio.NewReaderSize(limited, maxPerfMapLine)
	var all []jitted
	var text []byte
	for {
		line, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			err = skipLine(in)
		} else if err == nil {
			if len(all) >= maxPerfMapLines || len(text)+len(line) > maxPerfMapText {
				return newPerfMap(all, text), fmt.Errorf("%w: a map of more than %d lines or %d bytes", ErrTooLarge, maxPerfMapLines, maxPerfMapText)
			}
			if e, name, ok := parsePerfMapLine(line[:len(line)-1]); ok {
				all = append(all, jitted{e, uint32(len(text)), uint32(len(name)), int32(len(all))})
				text = append(text, name...)
			}
		}
		switch {
		case err == io.EOF && limited.N == 0:
			return newPerfMap(all, text), fmt.Errorf("%w: a map of more than %d bytes", ErrTooLarge, MaxPerfMap)
		case err == io.EOF:
			return newPerfMap(all, text), nil
		case err != nil:
			return nil, fmt.Errorf("read a map of code made at run time: %w", err)
		}
	}
}

func parsePerfMapLine(line []byte) (e extent, name []byte, ok bool) {
	start, rest, found := bytes.Cut(line, []byte(" "))
	if !found {
		return e, nil, false
	}
	size, name, found := bytes.Cut(rest, []byte(" "))
	if !found {
		return e, nil, false
	}
	from, ok1 := parseHexNumber(start)
	n, ok2 := parseHexNumber(size)
	name = bytes.TrimSpace(name)
	if !ok1 || !ok2 || n == 0 || n > math.MaxUint32 || from+n < from || len(name) == 0 || bytes.IndexByte(name, 0) >= 0 {
		return e, nil, false
	}
	return extent{from, from + n}, name, true
}

// parseHexNumber reads up to 16 digits, with or without 0x: writers do both.
func parseHexNumber(b []byte) (v uint64, ok bool) {
	b = bytes.TrimPrefix(b, []byte("0x"))
	if len(b) == 0 || len(b) > 16 {
		return 0, false
	}
	for _, c := range b {
		digit := strings.IndexByte("0123456789abcdefABCDEF", c)
		if digit < 0 {
			return 0, false
		}
		if digit > 15 {
			digit -= 6
		}
		v = v<<4 | uint64(digit)
	}
	return v, true
}

func newPerfMap(all []jitted, text []byte) *PerfMap {
	slices.SortFunc(all, func(a, b jitted) int { return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.order, b.order)) })
	m := &PerfMap{}
	t := &m.functions
	var names nameWriter
	numbers := map[string]uint32{}
	latest(all, func(start, end uint64, j *jitted) {
		name := string(text[j.name : j.name+j.length])
		n, ok := numbers[name]
		if !ok {
			n = names.add([]byte(name))
			numbers[name] = n
		}
		t.starts = append(t.starts, start)
		t.lengths = append(t.lengths, uint32(end-start))
		t.numbers = append(t.numbers, n)
	})
	t.names = names.names()
	return m
}

// byOrder is a heap whose top came last.
type byOrder []*jitted

func (h byOrder) Len() int           { return len(h) }
func (h byOrder) Less(i, j int) bool { return h[i].order > h[j].order }
func (h byOrder) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *byOrder) Push(x any)        { *h = append(*h, x.(*jitted)) }
func (h *byOrder) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	*h = (*h)[:last]
	return x
}

// latest yields disjoint ranges, ascending, each with the last of all, which are
// sorted by start, that covers it.
func latest(all []jitted, yield func(start, end uint64, j *jitted)) {
	var covering byOrder
	at := uint64(0)
	upTo := func(limit uint64) {
		for len(covering) > 0 && at < limit {
			top := covering[0]
			if top.end <= at {
				heap.Pop(&covering)
				continue
			}
			end := min(top.end, limit)
			yield(at, end, top)
			at = end
		}
		at = limit
	}
	for i := range all {
		upTo(all[i].start)
		heap.Push(&covering, &all[i])
	}
	upTo(math.MaxUint64)
}

// Name returns the name of the code at addr.
func (m *PerfMap) Name(addr uint64) (string, bool) { return m.functions.name(addr) }

// Bytes is the memory the map holds.
func (m *PerfMap) Bytes() int { return m.functions.bytes() }
