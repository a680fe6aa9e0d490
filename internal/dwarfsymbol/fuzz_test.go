// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package dwarfsymbol

import (
	"bytes"
	"debug/elf"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/elffile"
)

// parts are sections as they are in a file, uncompressed.
type parts [9][]byte

var partNames = [9]string{"info", "abbrev", "str", "line_str", "str_offsets", "addr", "ranges", "rnglists", "line"}

// debug makes debug information of parts, about code at any address.
func (p parts) debug() *Debug {
	img, err := elffile.Open(bytes.NewReader(bareELF()), 64)
	if err != nil {
		panic(err)
	}
	d := &Debug{img: img, open: func(Other) (io.ReaderAt, int64) { return nil, 0 }, abbrevs: map[uint64]abbrevs{}, units: map[uint64]*unit{},
		code: []extent{{0x1000, 1 << 40}}, packOpened: true, altErr: ErrElsewhere}
	for i, target := range []**section{&d.info, &d.abbrev, &d.str, &d.lineStr, &d.strOffsets, &d.addr, &d.ranges, &d.rnglists, &d.line} {
		if i < 2 || len(p[i]) > 0 {
			*target = &section{name: partNames[i], size: uint64(len(p[i])), window: p[i]}
		}
	}
	d.budget()
	return d
}

// bareELF is an ELF file of a header, which says that there is nothing else.
func bareELF() []byte {
	head := make([]byte, 64)
	copy(head, elf.ELFMAG)
	head[elf.EI_CLASS], head[elf.EI_DATA] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB)
	return head
}

// compiled is the debug information of a program.
func compiled(f *testing.F, args ...string) (p parts) {
	f.Helper()
	out := filepath.Join(f.TempDir(), "truth.o")
	if err := exec.Command(args[0], append(args[1:], "-c", "-o", out, "testdata/truth.c")...).Run(); err != nil {
		f.Skip(args, err)
	}
	file, err := elf.Open(out)
	if err != nil {
		f.Fatal(err)
	}
	defer file.Close()
	for i, name := range partNames {
		if s := file.Section(".debug_" + name); s != nil {
			if p[i], err = s.Data(); err != nil {
				f.Fatal(err)
			}
		}
	}
	return p
}

// FuzzUnits reads whatever it is given, within bounds of time and memory.
func FuzzUnits(f *testing.F) {
	for _, version := range []string{"-gdwarf-4", "-gdwarf-5"} {
		for _, compiler := range []string{"gcc", "clang-19"} {
			p := compiled(f, compiler, "-O2", "-g", version)
			f.Add(p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7], p[8])
		}
	}
	f.Fuzz(func(t *testing.T, info, abbrev, str, lineStr, strOffsets, addr, ranges, rnglists, line []byte) {
		p := parts{info, abbrev, str, lineStr, strOffsets, addr, ranges, rnglists, line}
		size := 0
		for _, b := range p {
			size += len(b)
		}
		began := time.Now()
		d := p.debug()
		x, err := d.Index()
		if err != nil {
			return
		}
		if x.Bytes() > 32*size+4096 {
			t.Fatalf("%d bytes became an index of %d", size, x.Bytes())
		}
		for n := range min(x.Units(), 4) {
			u, _ := d.Unit(x, uint32(n))
			if u == nil {
				continue
			}
			checkUnit(t, u)
		}
		for _, addr := range x.starts {
			if n, ok := x.Unit(addr); ok && int(n) >= x.Units() {
				t.Fatalf("unit %d of %d", n, x.Units())
			}
		}
		if time.Since(began) > 5*time.Second {
			t.Fatalf("%v for %d bytes", time.Since(began), size)
		}
	})
}

// checkUnit holds what must be true of any unit.
func checkUnit(t *testing.T, u *Unit) {
	for i, s := range u.scopes {
		if int(s.parent) >= i {
			t.Fatalf("scope %d was inlined into %d", i, s.parent)
		}
	}
	for i := range u.starts {
		if i > 0 && u.starts[i] <= u.starts[i-1] {
			t.Fatalf("range %d begins at %d, the one before at %d", i, u.starts[i], u.starts[i-1])
		}
		frames := u.Frames(u.base+uint64(u.starts[i]), nil)
		if len(frames) > maxFrames {
			t.Fatal(len(frames))
		}
		for _, f := range frames {
			if len(f.Function) > maxText || f.Line < 0 {
				t.Fatal(f)
			}
		}
	}
	u.Frames(0, nil)
	u.Frames(1<<64-1, nil)
}

// sparse is a file that begins with data and has zeros up to its size.
type sparse struct {
	data []byte
	size int64
}

func (s sparse) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	if off < int64(len(s.data)) {
		copy(p, s.data[off:])
	}
	return len(p), nil
}

// TestSparseFile: sections that claim a terabyte of a file that has one are not read.
func TestSparseFile(t *testing.T) {
	dir := t.TempDir()
	run(t, dir, "gcc", "-g", "-o", "truth", mustAbs(t, "testdata/truth.c"))
	data, err := os.ReadFile(filepath.Join(dir, "truth"))
	if err != nil {
		t.Fatal(err)
	}
	const size = 1 << 40
	data = enlarge(t, data, size/2)
	img, sections, err := openELF(sparse{data, size}, size)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	d, err := Open(img, sections, nil)
	if err != nil {
		t.Fatal(err)
	}
	x, err := d.Index()
	if err == nil {
		t.Fatal("an index of a terabyte", x.Units())
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Fatal(took)
	}
}

func mustAbs(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

// enlarge makes the sections of debug information as large as size.
func enlarge(t *testing.T, data []byte, size uint64) []byte {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	shoff := int(uint64(data[40]) | uint64(data[41])<<8 | uint64(data[42])<<16 | uint64(data[43])<<24)
	for i, s := range f.Sections {
		if len(s.Name) > 7 && s.Name[:7] == ".debug_" {
			for k := range 8 {
				data[shoff+64*i+32+k] = byte(size >> (8 * k))
			}
		}
	}
	return data
}
