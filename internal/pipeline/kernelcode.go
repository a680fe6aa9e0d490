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

// maxKernelCode bounds what is known of code that the kernel made, maxFormerCode what was in
// its place before. Hosts have some hundred BPF programs.
const (
	maxKernelCode = 1 << 13
	maxFormerCode = 1 << 10
)

// kernelCode is the code that the kernel made since its symbols were read, so that BPF
// programs that come and go need no reading of them again.
type kernelCode struct {
	// waiting is for the completion that covers it.
	waiting []event.KernelCode
	// made is in the order of its addresses, and no two overlap. Code that was dropped keeps
	// its name up to the end of the window, for what still runs.
	made []*madeCode
	// former is what others took the place of since the oldest window that is open, in the
	// order in which they did.
	former []*madeCode
	// dropped counts what found no room.
	dropped uint64
	// wanted: the kernel's symbols are to be read again. They are at most once in a pause,
	// which doubles each time, from not before on.
	wanted    bool
	pause     time.Duration
	notBefore event.KTime
	// reading: symbols are on their way, which may have what was dropped since.
	reading bool
	// doubt: what is known may be wrong, as records were lost or modules came and went. For
	// this the symbols are read from trusted on.
	doubt   bool
	trusted event.KTime
	// modules are those of when the symbols were read.
	modules uint64
}

func newKernelCode() *kernelCode { return &kernelCode{reading: true} }

// madeCode is code that the kernel made, from KTime on. If it is Gone, there is none any
// more, whatever the symbols that were read say.
type madeCode struct {
	event.KernelCode
	ended event.KTime // when it was dropped or replaced, 0 before
}

const (
	minKernelPause = time.Minute
	maxKernelPause = time.Hour
)

// miss is told of addresses that were met by now: if one is in no code that is known,
// outside of the kernel's own, a module was loaded, of which no record tells.
func (c *kernelCode) miss(k *symbol.Kernel, addresses []uint64, now event.KTime) {
	if k == nil || k.Symbols() == 0 {
		return
	}
	if c.doubt && now >= c.trusted {
		c.doubt, c.wanted, c.trusted = false, true, now+event.KTime(minKernelPause)
	}
	if now < c.notBefore {
		return
	}
	for _, a := range addresses {
		if k.InText(a) {
			continue
		}
		if m := c.now(a); m != nil && !m.Gone {
			continue
		} else if _, _, named := k.Name(a); named && m == nil {
			continue
		}
		c.wanted = true
		c.pause = min(max(2*c.pause, minKernelPause), maxKernelPause)
		c.notBefore = now + event.KTime(c.pause)
		return
	}
}

func (c *kernelCode) observe(records []event.KernelCode) {
	for _, r := range records {
		if len(c.waiting) >= maxKernelCode {
			c.drop()
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
	for _, r := range c.waiting[:n] {
		if r.Gone {
			c.end(k, r)
		} else {
			c.put(&madeCode{KernelCode: r})
		}
	}
	c.waiting = slices.Delete(c.waiting, 0, n)
}

// drop counts code, or its end, that nothing is known of for want of room.
func (c *kernelCode) drop() {
	c.dropped++
	c.doubt = true
}

// end takes that code was dropped. What only the symbols know has its name up to here, and
// what they may still come to say is not believed.
func (c *kernelCode) end(k *symbol.Kernel, r event.KernelCode) {
	i, known := c.search(r.Start)
	switch {
	case known:
		c.made[i].ended = r.KTime
	case !known && lists(k, r.Start):
		name, _, _ := k.Name(r.Start)
		c.put(&madeCode{event.KernelCode{Start: r.Start, End: r.End, Name: name, BPF: r.BPF}, r.KTime})
	case !known && c.reading:
		c.put(&madeCode{KernelCode: event.KernelCode{KTime: r.KTime, Start: r.Start, End: r.End, Gone: true}})
	}
}

// put adds code, in place of what was there.
func (c *kernelCode) put(m *madeCode) {
	first, _ := slices.BinarySearchFunc(c.made, m.Start+1, func(m *madeCode, at uint64) int { return cmp.Compare(m.End, at) })
	end := first
	for end < len(c.made) && c.made[end].Start < m.End {
		end++
	}
	for _, before := range c.made[first:end] {
		if len(c.former) >= maxFormerCode {
			c.drop()
			continue
		}
		before.ended = max(m.KTime, m.ended)
		c.former = append(c.former, before)
	}
	c.made = slices.Delete(c.made, first, end)
	if len(c.made) >= maxKernelCode {
		c.drop()
		return
	}
	c.made = slices.Insert(c.made, first, m)
}

// search finds the code that starts at an address, or where it would be.
func (c *kernelCode) search(start uint64) (i int, found bool) {
	return slices.BinarySearchFunc(c.made, start, func(m *madeCode, at uint64) int { return cmp.Compare(m.Start, at) })
}

// at returns the code that was at an address at a time which a completion covers, nil if the
// kernel's symbols tell what it was.
func (c *kernelCode) at(address uint64, k event.KTime) *madeCode {
	m := c.now(address)
	for _, f := range c.former {
		if k < f.ended && f.has(address) {
			m = f
			break
		}
	}
	if m == nil || k < m.KTime {
		return nil
	}
	return m
}

// now returns the code that was last at an address.
func (c *kernelCode) now(address uint64) *madeCode {
	i, found := c.search(address)
	if !found {
		i--
	}
	if i < 0 || !c.made[i].has(address) {
		return nil
	}
	return c.made[i]
}

func (m *madeCode) has(address uint64) bool { return m.Start <= address && address < m.End }

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
// kernel/bpf/syscall.c, v6.12). What was made before and is not among them has gone without
// a record; what was known to be gone is so up to the end of the window.
func (c *kernelCode) loaded(k *symbol.Kernel, from event.KTime) {
	const moment = event.KTime(time.Second)
	c.made = slices.DeleteFunc(c.made, func(m *madeCode) bool {
		before := m.KTime+moment < from && m.ended == 0
		if before && m.Gone {
			m.ended = from
		}
		return before && !m.Gone && !has(k, m)
	})
}

// has reports whether code is among the symbols that were read.
func has(k *symbol.Kernel, m *madeCode) bool {
	if k == nil {
		return false
	}
	name, _, _ := k.Name(m.Start)
	return name == m.Name
}

// window forgets what ended before all windows that are open, the first of which begins at
// start, except that it is gone if the symbols that were read still have it.
func (c *kernelCode) window(k *symbol.Kernel, start event.KTime) {
	over := func(m *madeCode) bool { return m.ended != 0 && m.ended <= start }
	c.former = slices.DeleteFunc(c.former, over)
	for i, m := range c.made {
		if over(m) && !m.Gone && lists(k, m.Start) {
			c.made[i] = &madeCode{KernelCode: event.KernelCode{KTime: m.ended, Start: m.Start, End: m.End, Gone: true}}
		}
	}
	c.made = slices.DeleteFunc(c.made, func(m *madeCode) bool { return over(m) || m.Gone && !c.reading && !lists(k, m.Start) })
}
