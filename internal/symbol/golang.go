// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package symbol

import (
	"errors"
	"fmt"
	"slices"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/gosymbol"
)

// readGo reads the functions of a Go program from its line table, and returns the index of
// their lines and inlined calls, nil if it is none. What another version of Go wrote in a way
// that is not known has the names of its symbols, which the error says.
func (fs *functions) readGo(img source) (*Index, error) {
	in, err := gosymbol.Locate(img.File, img.sections)
	if errors.Is(err, gosymbol.ErrNoTable) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	x, err := gosymbol.ReadIndex(in)
	if err == nil {
		err = fs.addGo(in)
	}
	if err != nil {
		return nil, err
	}
	fs.segments = without(fs.segments, x)
	return &Index{golang: x}, nil
}

// addGo adds the functions of a line table, all or none.
func (fs *functions) addGo(in gosymbol.Input) error {
	table := uint8(len(fs.strings))
	names, err := gosymbol.Functions(in, func(start, end uint64, name uint32) error {
		if len(fs.all) == maxFunctions {
			return fmt.Errorf("%w: more than %d functions", ErrTooLarge, maxFunctions)
		}
		if end, ok := fs.clip(start, end-start); ok && end > start {
			fs.all = append(fs.all, function{start: start, end: end, name: name, strings: table})
		}
		return nil
	})
	if err != nil {
		fs.all = nil
		return err
	}
	fs.strings = append(fs.strings, names)
	for i := range fs.all {
		f := &fs.all[i]
		f.name = min(f.name, uint32(len(names)))
		f.length = uint16(nameLength(names[f.name:]))
	}
	fs.all = slices.DeleteFunc(fs.all, func(f function) bool { return f.length == 0 })
	return nil
}

// without returns the segments without what the line table of a Go program names: it knows
// more than its symbols, and those take as much memory.
func without(segments []Segment, x *gosymbol.Index) (out []Segment) {
	start, end := x.Range()
	for _, s := range segments {
		if before := min(start, s.Address+s.Size); before > s.Address {
			out = append(out, Segment{Address: s.Address, Size: before - s.Address, Offset: s.Offset})
		}
		if after := max(end, s.Address); after < s.Address+s.Size {
			out = append(out, Segment{Address: after, Size: s.Address + s.Size - after, Offset: s.Offset + after - s.Address})
		}
	}
	return out
}
