// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/process"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/profile"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/symbol"
)

// The first binaries of every window.
const (
	unmapped profile.BinaryID = iota // user code in no known mapping
	kernel
	firstMapped
	// firstMade are code that the kernel made at run time.
	firstMade = 1 << 31
)

// window is the one that is filling. It numbers the binaries it meets, so that
// no number outlives the window.
type window struct {
	*profile.Window
	placement Placement
	code      *code
	jit       *jit
	// made are the names of code that lives made at run time which are forgotten.
	made       map[*process.Life]*symbol.PerfMap
	kernelCode *kernelCode
	// kernelMade is the code from firstMade on, kernelNumbers finds it.
	kernelMade    []*madeCode
	kernelNumbers map[*madeCode]profile.BinaryID
	// looked are the lives whose code made at run time was asked for.
	looked map[*process.Life]struct{}
	// mapped are the binaries from firstMapped on; numbers finds them by content,
	// known by the mapping of an image, which is the faster way.
	mapped  []mapped
	numbers map[binaryKey]profile.BinaryID
	known   map[*event.Mapping]profile.BinaryID
	owners  map[*process.Life]*profile.Owner
	// unplaced are owners of lives that are forgotten, whose control group was not
	// answered for yet.
	unplaced []unplaced
	// undecided are those of whom it is not known whether they belong into the window.
	undecided map[*candidate]*profile.Owner
	stack     []profile.Frame
	met       met
}

// binaryKey tells binaries apart: files by identity, other memory by its name and
// whether it is the kernel's for 64-bit processes, and code that may have been made at run
// time by its process and, in what looks like a file, by where that is mapped.
type binaryKey struct {
	file event.FileID
	name string
	vdso bool
	life *process.Life
	bias uint64
}

// mapped is what a binary was first met as.
type mapped struct {
	*event.Mapping
	life *process.Life // of code that may have been made at run time
	bias uint64        // from offsets of frames to addresses
	by   Holders
}

type unplaced struct {
	owner      *profile.Owner
	attributes []profile.Attribute
	group      event.CgroupID
}

func newWindow(p Placement, c *code, j *jit, kc *kernelCode, start, end event.KTime) *window {
	return &window{
		Window:    profile.NewWindow(start, end),
		placement: p,
		code:      c,
		jit:       j,
		made:      map[*process.Life]*symbol.PerfMap{},
		looked:    map[*process.Life]struct{}{},
		numbers:   map[binaryKey]profile.BinaryID{},
		known:     map[*event.Mapping]profile.BinaryID{},
		owners:    map[*process.Life]*profile.Owner{},
		met:       newMet(),

		kernelCode:    kc,
		kernelNumbers: map[*madeCode]profile.BinaryID{},
		undecided:     map[*candidate]*profile.Owner{},
	}
}

// add counts a sample. It returns false if the innermost user frame lies in no
// mapping that is known.
func (w *window) add(c counter, s *event.Sample) bool {
	w.stack = w.stack[:0]
	for _, address := range s.Kernel {
		w.stack = append(w.stack, w.kernelFrame(s.KTime, address))
	}
	for _, address := range s.User {
		w.stack = append(w.stack, w.frame(c, s.KTime, address))
	}
	before := w.Stacks()
	w.Add(c.owner, w.placement.labels(s), s.KTime, w.stack)
	if w.Stacks() > before {
		w.meet(w.stack)
	}
	return len(s.User) == 0 || w.stack[len(s.Kernel)].Binary != unmapped
}

func (w *window) kernelFrame(k event.KTime, address uint64) profile.Frame {
	var m *madeCode
	if w.code.kernel == nil || !w.code.kernel.InText(address) {
		m = w.kernelCode.at(address, k)
	}
	if m == nil {
		return profile.Frame{Binary: kernel, Offset: address}
	}
	id, ok := w.kernelNumbers[m]
	if !ok {
		id = firstMade + profile.BinaryID(len(w.kernelMade))
		w.kernelMade = append(w.kernelMade, m)
		w.kernelNumbers[m] = id
	}
	return profile.Frame{Binary: id, Offset: address}
}

func (w *window) frame(c counter, k event.KTime, address uint64) profile.Frame {
	m := c.memory.Find(address, k)
	if m == nil {
		return profile.Frame{Binary: unmapped, Offset: address}
	}
	f := profile.Frame{Binary: w.binary(m, c.life), Offset: address}
	if m.InFile() {
		f.Offset = address - m.Start + m.Offset
	}
	if m.Made() {
		w.name(c.life, address)
	}
	return f
}

// name asks, once in a window, for the names of code that a life made at run time
// when some has none.
func (w *window) name(life *process.Life, address uint64) {
	if _, ok := w.looked[life]; ok || w.jit.knows(life, address) {
		return
	}
	w.looked[life] = struct{}{}
	w.jit.want(life)
}

func (w *window) binary(m *event.Mapping, life *process.Life) profile.BinaryID {
	if id, ok := w.known[m]; ok {
		return id
	}
	key := binaryKey{file: w.code.id(m)}
	if key.file == (event.FileID{}) {
		key.name, key.vdso = m.Path, m.VDSO()
	}
	if m.Made() {
		key.life = life
		if m.InFile() {
			key.bias = m.Start - m.Offset
		}
	}
	id, ok := w.numbers[key]
	if !ok {
		id = firstMapped + profile.BinaryID(len(w.mapped))
		w.mapped = append(w.mapped, mapped{m, key.life, key.bias, holders(life)})
		w.numbers[key] = id
		w.code.want(key.file, m, holders(life))
	}
	w.known[m] = id
	return id
}

func (w *window) owner(life *process.Life) *profile.Owner {
	o, ok := w.owners[life]
	if !ok {
		o = &profile.Owner{Start: life.Proc.Start, PID: life.Proc.PID, Generation: life.Generation}
		w.owners[life] = o
	}
	return o
}
