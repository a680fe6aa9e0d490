// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"fmt"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

const (
	// slots are the places where memory is mapped; a slot is so many bytes.
	slots    = 8
	slotSize = 16
	// elsewhere is where memory is moved to, never twice to one place.
	elsewhere = 1000
)

// space is the executable memory of a process on the simulated host.
type space struct {
	slots [slots]content
	// moved went elsewhere, which the kernel does not tell.
	moved []content
	// known: it began while records of mappings were kept.
	known bool
}

// content is what a slot holds: a part of a file, or nothing.
type content struct {
	slot, file, part int
}

type hitKey struct {
	proc  event.ProcID
	ktime event.KTime
}

func (s *space) fork() space {
	c := *s
	c.moved = append([]content(nil), s.moved...)
	return c
}

// hold notes what there is as the truth about a life.
func (s *space) hold(t *truth) {
	for _, c := range append(s.slots[:], s.moved...) {
		t.held[c] = true
	}
}

func (c content) mapping(parts int) event.Mapping {
	m := event.Mapping{
		Start:  uint64(c.slot) * slotSize,
		End:    uint64(c.slot+parts) * slotSize,
		Offset: uint64(c.part) * slotSize,
		Path:   fmt.Sprint("/", c.file),
		File:   event.File{Inode: uint64(c.file), ChangeTime: 1},
	}
	return m
}

// show is what a read of /proc shows of the lower or the upper half at its moment.
func (s *space) show(half int) (out []event.Mapping) {
	all := append(append([]content(nil), s.slots[half*slots/2:(half+1)*slots/2]...), s.moved[:len(s.moved)*half]...)
	for i := 0; i < len(all); i++ {
		if all[i].file == 0 {
			continue
		}
		parts := 1
		for i+parts < len(all) && all[i+parts] == (content{all[i].slot + parts, all[i].file, all[i].part + parts}) {
			parts++
		}
		out = append(out, all[i].mapping(parts))
		i += parts - 1
	}
	return out
}

// mmap maps a file somewhere, which the kernel records by build ID.
func (h *host) mmap(p *proc) {
	h.version++
	from := h.rnd.IntN(slots)
	parts := 1 + h.rnd.IntN(slots-from)
	first := content{from, h.version, h.rnd.IntN(3)}
	for i := range parts {
		p.space.slots[from+i] = content{from + i, first.file, first.part + i}
	}
	p.space.hold(h.know(p))
	if h.losesMapped() {
		return
	}
	m := first.mapping(parts)
	m.BuildID, m.File = fmt.Sprint(first.file), event.File{}
	h.mapped = append(h.mapped, event.Mapped{KTime: h.now, PID: p.id.PID, Mapping: m})
}

// munmap empties slots, and mremap moves one, without a record.
func (h *host) munmap(p *proc) {
	from := h.rnd.IntN(slots)
	for i := from; i < min(slots, from+3); i++ {
		p.space.slots[i] = content{}
	}
}

func (h *host) mremap(p *proc) {
	c := p.space.slots[h.rnd.IntN(slots)]
	if c.file == 0 {
		return
	}
	p.space.slots[c.slot] = content{}
	h.version++
	c.slot = elsewhere + h.version
	p.space.moved = append(p.space.moved, c)
	p.space.hold(h.know(p))
}

// hit lets a sample hit some memory of its process.
func (h *host) hit(p *proc, s *event.Sample) {
	all := append(p.space.slots[:], p.space.moved...)
	c := all[h.rnd.IntN(len(all))]
	if c.file == 0 {
		return
	}
	s.User = []uint64{uint64(c.slot)*slotSize + uint64(h.rnd.IntN(slotSize))}
	h.hits[hitKey{s.Proc, s.KTime}] = c
}

// finds says what a life knows of where a sample hit, as content.
func finds(l *Life, s *event.Sample) (content, bool) {
	m := l.Memory().Find(s.User[0], s.KTime)
	if m == nil {
		return content{}, false
	}
	slot := s.User[0] / slotSize
	var c content
	if _, err := fmt.Sscan(m.Path[1:], &c.file); err != nil {
		panic(err)
	}
	c.slot, c.part = int(slot), int((slot*slotSize-m.Start+m.Offset)/slotSize)
	return c, true
}
