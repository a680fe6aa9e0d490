// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package symbol

import (
	"debug/elf"
	"encoding/binary"
	"encoding/hex"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/elffile"
)

const (
	// maxNotes bounds what is read of one note segment or section, and
	// maxNoteParts how many of them are looked at.
	maxNotes     = 64 << 10
	maxNoteParts = 32
	// maxBuildID bounds a build ID. The linkers make 8 to 20 bytes, Go about 83.
	maxBuildID = 256

	noteGNUBuildID = 3 // NT_GNU_BUILD_ID
	noteGoBuildID  = 4 // cmd/internal/buildid, ELF_NOTE_GOBUILDID_TAG
)

// BuildIDFromNotes returns the GNU build ID in a sequence of ELF notes, such as
// /sys/kernel/notes or a PT_NOTE segment, as lower-case hex; empty if there is
// none.
func BuildIDFromNotes(notes []byte) string {
	return hex.EncodeToString(findNote(notes, "GNU\x00", noteGNUBuildID))
}

// goBuildIDFromNotes is the same for the Go toolchain's note, which is text.
func goBuildIDFromNotes(notes []byte) string {
	id := findNote(notes, "Go\x00\x00", noteGoBuildID)
	for _, c := range id {
		if c < ' ' || c > '~' {
			return ""
		}
	}
	return string(id)
}

// findNote returns the description of the first note of that owner and type.
// Notes are padded to four bytes. Those of segments aligned to eight follow the
// same layout as long as the owner is "GNU", so nobody treats them differently
// (lib/buildid.c, parse_build_id_buf, v6.12).
func findNote(notes []byte, owner string, kind uint32) []byte {
	le := binary.LittleEndian
	for len(notes) >= 12 {
		namesz, descsz, k := uint64(le.Uint32(notes)), uint64(le.Uint32(notes[4:])), le.Uint32(notes[8:])
		desc := 12 + (namesz+3)&^3
		end := desc + descsz
		if end > uint64(len(notes)) {
			return nil
		}
		if k == kind && string(notes[12:12+namesz]) == owner && descsz > 0 && descsz <= maxBuildID {
			return notes[desc:end]
		}
		next := (end + 3) &^ 3
		if next > uint64(len(notes)) {
			return nil
		}
		notes = notes[next:]
	}
	return nil
}

// readNotes finds the build IDs. Segments come first, because that is where the
// kernel looks; sections serve files whose linker made no note segment.
func (f *File) readNotes(img *elffile.File, sections []elffile.Section) error {
	parts := 0
	look := func(off, n uint64) error {
		if f.gnuBuildID != "" && f.goBuildID != "" || parts == maxNoteParts {
			return nil
		}
		parts++
		notes, err := img.Read("notes", off, min(n, maxNotes))
		if err != nil {
			return err
		}
		if f.gnuBuildID == "" {
			f.gnuBuildID = BuildIDFromNotes(notes)
		}
		if f.goBuildID == "" {
			f.goBuildID = goBuildIDFromNotes(notes)
		}
		return nil
	}
	var first error
	keep := func(err error) {
		if first == nil {
			first = err
		}
	}
	for _, s := range img.Segments {
		if s.Type == elf.PT_NOTE {
			keep(look(s.Offset, s.Filesz))
		}
	}
	for _, s := range sections {
		if s.Type == elf.SHT_NOTE {
			keep(look(s.Offset, s.Size))
		}
	}
	return first
}
