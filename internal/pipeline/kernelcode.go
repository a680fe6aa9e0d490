// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"cmp"
	"slices"
	"time"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/symbol"
)

// maxKernelCode bounds what is known of code that the kernel made. Hosts have some
// hundred BPF programs.
const maxKernelCode = 1 << 13

// kernelCode is the code that the kernel made since its symbols were read, so that BPF
// programs that come and go need no reading of them again.
type kernelCode struct {
	// waiting is for the completion that covers it.
	waiting []event.KernelCode
	// made is in the order of its addresses; it is shared with closed windows, so it is
	// replaced and not changed. ended are those of it that were dropped since, by start. What
	// is Gone is so from the window on, and named by the symbols that were read before.
	made  []event.KernelCode
	ended map[uint64]event.KTime
	// dropped counts what found no room.
	dropped uint64
	// wanted: the kernel's symbols are to be read again. They are at most once in a pause,
	// which doubles each time, from not before on.
	wanted    bool
	pause     time.Duration
	notBefore event.KTime
}

const (
	minKernelPause = time.Minute
	maxKernelPause = time.Hour
)

// miss is told of addresses that were met by now: if one is in no code that is known,
// outside of the kernel's own, a module was loaded, of which no record tells.
func (c *kernelCode) miss(k *symbol.Kernel, addresses []uint64, now event.KTime) {
	if k == nil || k.Symbols() == 0 || now < c.notBefore {
		return
	}
	start, end := k.Text()
	for _, a := range addresses {
		if a >= start && a < end {
			continue
		}
		_, _, named := k.Name(a)
		if m, made := madeAt(c.made, a); !m.Gone && (named || made) {
			continue
		}
		c.wanted = true
		c.pause = min(max(2*c.pause, minKernelPause), maxKernelPause)
		c.notBefore = now + event.KTime(c.pause)
		return
	}
}

func newKernelCode() *kernelCode { return &kernelCode{ended: map[uint64]event.KTime{}} }

func (c *kernelCode) observe(records []event.KernelCode) {
	for _, r := range records {
		if len(c.waiting) >= maxKernelCode {
			c.dropped++
			continue
		}
		c.waiting = append(c.waiting, r)
	}
}

// complete takes what was made and dropped up to w. k are the symbols that were read, nil if
// they were not.
func (c *kernelCode) complete(k *symbol.Kernel, w event.KTime) {
	slices.SortStableFunc(c.waiting, func(a, b event.KernelCode) int { return cmp.Compare(a.KTime, b.KTime) })
	n, _ := slices.BinarySearchFunc(c.waiting, w+1, func(r event.KernelCode, k event.KTime) int { return cmp.Compare(r.KTime, k) })
	if n == 0 {
		return
	}
	made := slices.Clone(c.made)
	for _, r := range c.waiting[:n] {
		i, known := slices.BinarySearchFunc(made, r.Start, func(m event.KernelCode, at uint64) int { return cmp.Compare(m.Start, at) })
		switch {
		case r.Gone && known:
			c.ended[r.Start] = r.KTime
			continue
		case r.Gone && !lists(k, r.Start):
			continue
		case known:
			made[i] = r
		case len(made) >= maxKernelCode:
			c.dropped++
			continue
		default:
			made = slices.Insert(made, i, r)
		}
		delete(c.ended, r.Start)
		if r.Gone { // it has its name up to here
			name, _, _ := k.Name(r.Start)
			made[i] = event.KernelCode{KTime: r.KTime, Start: r.Start, End: r.End, Name: name, BPF: r.BPF}
			c.ended[r.Start] = r.KTime
		} else {
			made = slices.DeleteFunc(made, func(m event.KernelCode) bool { return m.Gone && m.Start < r.End && r.Start < m.End })
		}
	}
	c.waiting = slices.Delete(c.waiting, 0, n)
	c.made = made
}

// lists reports whether the symbols that were read have a program of BPF at an address.
func lists(k *symbol.Kernel, at uint64) bool {
	if k == nil {
		return false
	}
	_, module, ok := k.Name(at)
	return ok && module == symbol.BPF
}

// loaded is told that the symbols were read again, from a time on. What was dropped a moment
// before may still be in them: the record comes first (bpf_prog_put_deferred in
// kernel/bpf/syscall.c, v6.12).
func (c *kernelCode) loaded(from event.KTime) {
	const moment = event.KTime(time.Second)
	c.made = slices.DeleteFunc(slices.Clone(c.made), func(m event.KernelCode) bool { return m.Gone && m.KTime+moment < from })
}

// window forgets what ended before a window that begins at start, except that it is gone
// if the symbols that were read still have it.
func (c *kernelCode) window(k *symbol.Kernel, start event.KTime) {
	over := func(m event.KernelCode) bool {
		end, ok := c.ended[m.Start]
		return ok && end <= start
	}
	if !slices.ContainsFunc(c.made, over) {
		return
	}
	made := []event.KernelCode{}
	for _, m := range c.made {
		if over(m) {
			m.Gone, m.KTime = true, c.ended[m.Start]
			delete(c.ended, m.Start)
		}
		if !m.Gone || lists(k, m.Start) {
			made = append(made, m)
		}
	}
	c.made = made
}

// madeAt returns the code at an address.
func madeAt(made []event.KernelCode, address uint64) (event.KernelCode, bool) {
	i, found := slices.BinarySearchFunc(made, address, func(m event.KernelCode, at uint64) int { return cmp.Compare(m.Start, at) })
	if !found {
		i--
	}
	if i < 0 || address >= made[i].End {
		return event.KernelCode{}, false
	}
	return made[i], true
}
