// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/profile"
)

// met are the frames of a window by what is known of them.
type met struct {
	frames map[profile.Frame]struct{}
	// fresh are those whose file, or the index of its debug information, was not read yet.
	fresh []profile.Frame
	// kernel are the addresses in the kernel since the last look.
	kernel []uint64
	// units are those of the window's frames, by binary; of a binary whose index was asked
	// for there are none yet.
	units map[profile.BinaryID]map[uint32]struct{}
}

func newMet() met {
	return met{frames: map[profile.Frame]struct{}{}, units: map[profile.BinaryID]map[uint32]struct{}{}}
}

// meet notes the frames of a stack that the window had not seen.
func (w *window) meet(stack []profile.Frame) {
	for _, f := range stack {
		if _, ok := w.met.frames[f]; ok || f.Binary == unmapped {
			continue
		}
		w.met.frames[f] = struct{}{}
		switch {
		case f.Binary == kernel, f.Binary >= firstMade && w.kernelMade[f.Binary-firstMade].Gone:
			w.met.kernel = append(w.met.kernel, f.Offset)
		case f.Binary < firstMade:
			w.met.fresh = append(w.met.fresh, f)
		}
	}
}

// look asks for the lines and inlined calls of frames whose files have been read since.
func (w *window) look() {
	kept := w.met.fresh[:0]
	for _, f := range w.met.fresh {
		m := &w.mapped[f.Binary-firstMapped]
		if !m.InFile() {
			continue
		}
		file := w.code.file(m.Mapping)
		if file == nil {
			kept = append(kept, f)
			continue
		}
		address, _, ok := file.Address(f.Offset)
		if !ok || file.Index() == nil && !w.code.inline {
			continue
		}
		x := w.code.index(w.code.content(m.Mapping), file)
		if x == nil {
			kept = append(kept, f)
			if w.met.units[f.Binary] == nil { // once in a window
				w.met.units[f.Binary] = map[uint32]struct{}{}
				w.code.wantIndex(m)
			}
		} else if n, ok := x.Unit(address); ok {
			w.met.add(f.Binary, n)
			w.code.wantUnit(m, x, n)
		}
	}
	w.met.fresh = kept
}

func (m *met) add(b profile.BinaryID, unit uint32) {
	if m.units[b] == nil {
		m.units[b] = map[uint32]struct{}{}
	}
	m.units[b][unit] = struct{}{}
}
