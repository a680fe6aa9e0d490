// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package symbol

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/elffile"
)

const (
	// maxStubs bounds the entries of procedure linkage tables, maxStubBytes one table.
	maxStubs     = 64 << 10
	maxStubBytes = 8 << 20
	// maxStubText bounds their names, which overlap in a file that is made to fill our memory.
	// Those of clang have 116 KB.
	maxStubText = 4 << 20
	// maxRelocations bounds how much is read of relocations, in all.
	maxRelocations = 64 << 20
	relocationSize = 24
)

// stub is an entry of a procedure linkage table: code that jumps to where a slot of
// the global offset table points.
type stub struct {
	extent
	slot uint64
}

// readStubs names the entries of procedure linkage tables after the functions that the
// loader puts into their slots: name@plt.
func (fs *functions) readStubs(img source) error {
	found, err := img.Named(img.sections, ".plt", ".plt.sec", ".plt.got", ".iplt")
	if err != nil {
		return err
	}
	var stubs []stub
	for _, s := range found {
		code, err := img.Content("procedure linkage table", s, maxStubBytes)
		if err != nil {
			return err
		}
		switch img.Machine {
		case elf.EM_X86_64:
			stubs = appendStubsAMD64(stubs, s, code)
		case elf.EM_AARCH64:
			stubs = appendStubsARM64(stubs, s.Addr, code)
		}
	}
	if len(stubs) == 0 {
		return nil
	}
	if len(stubs) > maxStubs {
		stubs = stubs[:maxStubs]
	}
	slots := make(map[uint64][]int, len(stubs))
	for i, s := range stubs {
		slots[s.slot] = append(slots[s.slot], i)
	}
	return fs.nameStubs(img, stubs, slots)
}

// appendStubsAMD64 finds jmp *slot(%rip), once per entry, with or without a prefix
// (psABI for x86-64, 5.2). The entry that all others share jumps, too, but no
// relocation is for its slot.
func appendStubsAMD64(stubs []stub, s elffile.Section, code []byte) []stub {
	size := int(s.Entsize)
	if size != 8 {
		size = 16
	}
	for at := 0; at+size <= len(code); at += size {
		entry := code[at : at+size]
		for i := 0; i+6 <= size; i++ {
			if entry[i] != 0xff || entry[i+1] != 0x25 {
				continue
			}
			start := s.Addr + uint64(at)
			next := start + uint64(i) + 6
			slot := next + uint64(int64(int32(binary.LittleEndian.Uint32(entry[i+2:]))))
			stubs = append(stubs, stub{extent{start, start + uint64(size)}, slot})
			break
		}
	}
	return stubs
}

// appendStubsARM64 finds adrp x16; ldr x17, [x16]; add; br x17, with or without bti
// before it (ELF for the Arm 64-bit Architecture, sysvabi64, dynamic linking).
func appendStubsARM64(stubs []stub, addr uint64, code []byte) []stub {
	const (
		adrp, adrpMask = 0x90000010, 0x9f00001f
		ldr, ldrMask   = 0xf9400211, 0xffc003ff
		br, bti        = 0xd61f0220, 0xd503245f
	)
	word := func(i int) uint32 { return binary.LittleEndian.Uint32(code[4*i:]) }
	for i := 0; 4*i+16 <= len(code); i++ {
		if word(i)&adrpMask != adrp || word(i+1)&ldrMask != ldr || word(i+3) != br {
			continue
		}
		at := addr + 4*uint64(i)
		pages := int64(int32(word(i)<<8)>>13)<<2 | int64(word(i)>>29&3)
		slot := at&^0xfff + uint64(pages<<12) + uint64(word(i+1)>>10&0xfff)*8
		start := at
		if i > 0 && word(i-1) == bti {
			start -= 4
		}
		stubs = append(stubs, stub{extent{start, at + 16}, slot})
		i += 3
	}
	return stubs
}

// nameStubs looks for the relocations of the slots.
func (fs *functions) nameStubs(img source, stubs []stub, slots map[uint64][]int) error {
	left := uint64(maxRelocations)
	for _, s := range img.sections {
		if s.Type != elf.SHT_RELA || s.Flags&elf.SHF_ALLOC == 0 || s.Size > left || len(slots) == 0 {
			continue
		}
		left -= s.Size
		relocations, err := img.Content("relocations", s, maxRelocations)
		if err != nil {
			return err
		}
		for ; len(relocations) >= relocationSize; relocations = relocations[relocationSize:] {
			slot := binary.LittleEndian.Uint64(relocations)
			of, ok := slots[slot]
			if !ok {
				continue
			}
			name, err := fs.target(img, s, relocations)
			if err != nil {
				return err
			}
			for _, i := range of {
				if err := fs.addStub(stubs[i].extent, name); err != nil {
					return err
				}
			}
			delete(slots, slot)
		}
	}
	return nil
}

// label is a name in a string table.
type label struct {
	table uint8  // which of the strings, or dynamicNames
	at    uint32 // offset in it
	text  []byte
}

// dynamicNames are those of symbols that relocations are about.
const dynamicNames = math.MaxUint8

// target is the name of the function that a relocation of section s is about: of its
// symbol, or for an IFUNC of this file of what chooses the function.
func (fs *functions) target(img source, s elffile.Section, b []byte) (l label, err error) {
	le := binary.LittleEndian
	symbol, addend := le.Uint32(b[12:]), le.Uint64(b[16:])
	if symbol == 0 {
		return fs.startsAt(addend), nil
	}
	if uint64(s.Link) >= uint64(len(img.sections)) {
		return l, nil
	}
	table := img.sections[s.Link]
	if uint64(symbol) >= table.Size/symbolSize {
		return l, nil
	}
	entry, err := img.Read("symbol", table.Offset+uint64(symbol)*symbolSize, symbolSize)
	if err != nil {
		return l, err
	}
	if fs.stubNames == nil {
		if fs.stubNames, err = readStrings(img, table.Link); err != nil {
			return l, err
		}
	}
	at := le.Uint32(entry)
	if uint64(at) >= uint64(len(fs.stubNames)) {
		return l, nil
	}
	return label{dynamicNames, at, fs.stubNames[at:][:nameLength(fs.stubNames[at:])]}, nil
}

// startsAt is the name of a function that starts at addr. It is asked about entries
// only, so it looks through all functions once for all of them.
func (fs *functions) startsAt(addr uint64) label {
	if fs.starts == nil {
		fs.starts = make(map[uint64]int, len(fs.all))
		for i, f := range fs.all {
			if known, ok := fs.starts[f.start]; !ok || precedence(fs.all[known], f) < 0 {
				fs.starts[f.start] = i
			}
		}
	}
	i, ok := fs.starts[addr]
	if !ok {
		return label{}
	}
	f := fs.all[i]
	return label{f.strings, f.name, fs.strings[f.strings][f.name:][:f.length]}
}

const stubSuffix = "@plt"

// addStub keeps an entry under its name.
func (fs *functions) addStub(e extent, of label) error {
	if _, ok := fs.clip(e.start, 0); !ok || len(of.text) == 0 || len(of.text)+len(stubSuffix) > maxName {
		return nil
	}
	at, err := fs.stubText(of)
	if err != nil {
		return err
	}
	fs.all = append(fs.all, function{
		start: e.start, end: e.end, name: at, length: uint16(len(of.text) + len(stubSuffix)),
		rank: rankLocal, strings: fs.stubTable,
	})
	return nil
}

// stubText writes the name of a stub to a string table of its own, once for all stubs of a
// function, and returns where it is.
func (fs *functions) stubText(of label) (uint32, error) {
	if fs.stubTable == 0 {
		fs.stubTable = uint8(len(fs.strings))
		fs.strings = append(fs.strings, nil)
		fs.stubTexts = map[uint64]uint32{}
	}
	key := uint64(of.table)<<32 | uint64(of.at)
	if at, ok := fs.stubTexts[key]; ok {
		return at, nil
	}
	text := &fs.strings[fs.stubTable]
	at := uint32(len(*text))
	if len(*text)+len(of.text)+len(stubSuffix) >= maxStubText {
		return 0, fmt.Errorf("%w: more than %d bytes of names in procedure linkage tables", ErrTooLarge, maxStubText)
	}
	*text = append(append(append(*text, of.text...), stubSuffix...), 0)
	fs.stubTexts[key] = at
	return at, nil
}
