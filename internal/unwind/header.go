// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"debug/elf"
	"encoding/binary"
	"fmt"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/elffile"
)

// header is what .eh_frame_hdr says (LSB 5.0, Core, section 10.6.2).
type header struct {
	start uint64 // address of .eh_frame
	last  uint64 // address of its last FDE, zero if there is no list of them
}

// listed is the encoding of the list of FDEs that all linkers make, and the only
// one that libgcc searches (unwind-dw2-fde-dip.c).
const listed = relData | formatS32

func parseHeader(data []byte, addr uint64) (header, error) {
	c := cursor{data: data, addr: addr}
	version, startEncoding, countEncoding, listEncoding := c.u8(), c.u8(), c.u8(), c.u8()
	if c.err == nil && version != 1 {
		return header{}, fmt.Errorf("%w: version %d", ErrDamaged, version)
	}
	h := header{start: c.pointer(startEncoding)}
	if c.err != nil || countEncoding == omitPointer || listEncoding != listed {
		return h, c.err
	}
	count := c.value(countEncoding)
	if c.err == nil && count > uint64(len(data)-c.at)/8 {
		return h, fmt.Errorf("%w: it does not hold %d entries", ErrDamaged, count)
	}
	for ; count > 0 && c.err == nil; count-- {
		c.u32() // the function
		h.last = max(h.last, c.pointer(listEncoding))
	}
	return h, c.err
}

// frames reads .eh_frame: up to the end of the last FDE if there is a list, else
// up to its terminator or the end of its segment.
func (h header) frames(file *elffile.File) (section, error) {
	for _, s := range file.Segments {
		if s.Type != elf.PT_LOAD || h.start < s.Addr || h.start-s.Addr >= s.Filesz {
			continue
		}
		at := h.start - s.Addr
		data, err := file.Read(".eh_frame", s.Offset+at, min(s.Filesz-at, maxSection))
		if err != nil {
			return section{}, err
		}
		out := section{name: ".eh_frame", data: data, addr: h.start, eh: true, terminated: h.last == 0}
		if h.last != 0 {
			out.data, err = cutBehind(data, h.last-h.start)
		}
		return out, err
	}
	return section{}, fmt.Errorf("%w: .eh_frame at %#x is in no segment", ErrDamaged, h.start)
}

// cutBehind cuts data behind the record that begins at last.
func cutBehind(data []byte, last uint64) ([]byte, error) {
	if last > uint64(len(data)) || uint64(len(data))-last < 4 {
		return nil, fmt.Errorf("%w: the last FDE of .eh_frame_hdr is outside of .eh_frame", ErrDamaged)
	}
	length := binary.LittleEndian.Uint32(data[last:])
	if length == longLength {
		return data, nil
	}
	return data[:min(uint64(len(data)), last+4+uint64(length))], nil
}
