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
	// replaced and not changed. ended are those of it that were dropped since, by start.
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
		if _, made := madeAt(c.made, a); named || made {
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

// complete takes what was made and dropped up to w.
func (c *kernelCode) complete(w event.KTime) {
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
		case r.Gone:
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
	}
	c.waiting = slices.Delete(c.waiting, 0, n)
	c.made = made
}

// window forgets what ended before a window that begins at start.
func (c *kernelCode) window(start event.KTime) {
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
			delete(c.ended, m.Start)
		} else {
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
