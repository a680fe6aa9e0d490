// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"cmp"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/demangle"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/process"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/profile"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/symbol"
)

// Window is a closed window with the names known when it closed. It does not
// change any more and may be given to another goroutine.
type Window struct {
	*profile.Window
	binaries      []binary
	kernel        *symbol.Kernel
	kernelBuildID string
	// kernelBefore are the symbols that were replaced in this window, nil if none were.
	kernelBefore *symbol.Kernel
	// made is the code from firstMade on.
	made []event.KernelCode
}

// binary is a file with its symbols, nil if not known, or other memory, with the
// names of what was made at run time.
type binary struct {
	mapping *event.Mapping
	file    *symbol.File
	// index is that of its debug information, nil if not known, and units are those of the
	// window's frames that have been read; asked: something of this has not.
	index *symbol.Index
	units map[uint32]*symbol.Unit
	asked bool
	// made are the names of code that was made at run time, by address: bias is from
	// offsets to those. frameType is of such code.
	made      *symbol.PerfMap
	bias      uint64
	frameType string
}

// close fixes what the window knows of its owners and binaries.
func (w *window) close(n notes) *Window {
	c := &Window{
		Window:        w.Window,
		binaries:      make([]binary, len(w.mapped)),
		kernel:        w.code.kernel,
		kernelBuildID: w.code.kernelBuildID,
		kernelBefore:  w.code.kernelBefore,
		made:          make([]event.KernelCode, len(w.kernelMade)),
	}
	for i, m := range w.kernelMade {
		c.made[i] = m.KernelCode
	}
	for i, m := range w.mapped {
		b := binary{mapping: m.Mapping, bias: m.bias}
		if m.life != nil {
			b.made, b.frameType = cmp.Or(w.made[m.life], w.jit.of(m.life)), jitFrameType(m.life)
		}
		if m.InFile() {
			b.file, b.asked = w.code.file(m.Mapping), w.code.asked(m.Mapping)
			if b.file != nil {
				b.index = w.code.index(w.code.content(m.Mapping), b.file)
			}
			b.units = w.units(firstMapped+profile.BinaryID(i), m.Mapping)
		}
		c.binaries[i] = b
	}
	for life, owner := range w.owners {
		n.place(owner, n.attributes(life))
	}
	for _, u := range w.unplaced {
		if id := n.groups.of(u.group); id != "" {
			n.place(u.owner, append(u.attributes, profile.StringAttribute(containerID, id)))
		}
	}
	return c
}

// units are what has been read of the debug information of a binary's frames.
func (w *window) units(binary profile.BinaryID, m *event.Mapping) map[uint32]*symbol.Unit {
	out := make(map[uint32]*symbol.Unit, len(w.met.units[binary]))
	id := w.code.content(m)
	for n := range w.met.units[binary] {
		if u := w.code.unit(id, n); u != nil {
			out[n] = u
		}
	}
	return out
}

// settle fixes what is known of lives that the process table is about to forget.
func (w *window) settle(lives []*process.Life, n notes) {
	for _, life := range lives {
		if names := w.jit.of(life); names != nil {
			w.made[life] = names
		}
		if owner, ok := w.owners[life]; ok {
			all := n.attributes(life)
			n.place(owner, all)
			delete(w.owners, life)
			if n.groups.waits(life.Cgroup) && n.container(life) == "" {
				w.unplaced = append(w.unplaced, unplaced{owner, all, life.Cgroup})
			}
		}
	}
}

// Resolve tells where a frame is and what it is called.
func (w *Window) Resolve(f profile.Frame) profile.Location {
	switch {
	case f.Binary == unmapped:
		return profile.Location{Address: f.Offset, FrameType: "native"}
	case f.Binary == kernel:
		return w.resolveKernel(f.Offset)
	case f.Binary >= firstMade:
		return w.resolveMade(&w.made[f.Binary-firstMade], f.Offset)
	default:
		return w.binaries[f.Binary-firstMapped].resolve(f.Offset)
	}
}

// kernelFile is the name perf gives the kernel's image.
const kernelFile = "[kernel.kallsyms]"

// unnamedKernel is the location of kernel code of which nothing is known.
func unnamedKernel(address uint64) profile.Location {
	return profile.Location{Mapping: profile.Mapping{Filename: kernelFile}, Address: address, FrameType: "kernel"}
}

func (w *Window) resolveMade(m *event.KernelCode, address uint64) profile.Location {
	l := unnamedKernel(address)
	if m.Gone || w.kernel == nil || w.kernel.Symbols() == 0 {
		return l
	}
	l.Lines = line(m.Name)
	if m.BPF {
		l.Mapping.Filename = "[bpf]"
	}
	return l
}

func (w *Window) resolveKernel(address uint64) profile.Location {
	l := unnamedKernel(address)
	if w.kernel == nil {
		return l
	}
	name, module, named := w.kernelName(address)
	l.Lines = line(name)
	if module != "" {
		l.Mapping.Filename = "[" + module + "]"
		return l
	}
	inside := w.kernel.InText(address)
	if inside {
		l.Mapping.Start, l.Mapping.Limit = w.kernel.Text()
	}
	if inside || named { // else it may be of a module
		l.Mapping.GNUBuildID = w.kernelBuildID
	}
	return l
}

// kernelName looks an address up. Where the symbols changed in the window, what was there when
// it began counts: what came in its place has a record of its own, unless it is a module.
func (w *Window) kernelName(address uint64) (name, module string, ok bool) {
	if w.kernelBefore != nil {
		if name, module, ok = w.kernelBefore.Name(address); ok {
			return name, module, ok
		}
	}
	return w.kernel.Name(address)
}

// resolve gives a file's frame the address that the file itself uses: it is the
// same in every process, and tools that look names up need no load address.
func (b binary) resolve(offset uint64) profile.Location {
	l := profile.Location{
		Mapping:   profile.Mapping{Filename: b.mapping.Path},
		Address:   offset,
		FrameType: "native",
	}
	if b.made != nil {
		if name, ok := b.made.Name(offset + b.bias); ok {
			l.Lines, l.FrameType = line(name), b.frameType
			return l
		}
	}
	l.Mapping.GNUBuildID = b.mapping.BuildID
	if b.file == nil {
		l.Pending = b.asked
		return l
	}
	l.Mapping.GNUBuildID = b.file.GNUBuildID()
	l.Mapping.GoBuildID = b.file.GoBuildID()
	l.Mapping.HTLHash = b.file.HTLHash()
	if l.Mapping.GoBuildID != "" {
		l.FrameType = "go"
	}
	address, segment, ok := b.file.Address(offset)
	if !ok {
		return l
	}
	l.Address = address
	l.Mapping.Start, l.Mapping.Limit = segment.Address, segment.Address+segment.Size
	l.Mapping.Offset = segment.Offset
	unit, pending := b.unit(address)
	l.Pending = pending
	for _, f := range b.file.Frames(address, unit, nil) {
		l.Lines = append(l.Lines, profile.Line{Function: f.Function, File: f.File, Number: int64(f.Line)})
	}
	if n := len(l.Lines); n > 0 && demangle.Rust(l.Lines[n-1].Function) {
		l.FrameType = "rust"
	}
	return l
}

// unit is what the debug information says of an address; pending: it says something, which
// has not been read.
func (b binary) unit(address uint64) (unit *symbol.Unit, pending bool) {
	if b.index == nil {
		return nil, b.asked
	}
	n, ok := b.index.Unit(address)
	if !ok {
		return nil, false
	}
	unit = b.units[n]
	return unit, unit == nil
}

// line is a function of which nothing but the name is known, if that is.
func line(function string) []profile.Line {
	if function == "" {
		return nil
	}
	return []profile.Line{{Function: function}}
}
