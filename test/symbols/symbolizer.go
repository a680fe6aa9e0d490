// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Package symbols holds the names that the receiver gives to addresses against those of
// llvm-symbolizer.
package symbols

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/dwarfsymbol"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/symbol"
)

// Tool is the program that is asked.
const Tool = "llvm-symbolizer-19"

// Frame is a function at one place of its source.
type Frame struct {
	Function, File string
	Line           int
}

// Ask returns what llvm-symbolizer says of each address of a file.
func Ask(file string, addresses []uint64) ([][]Frame, error) {
	var in bytes.Buffer
	for _, a := range addresses {
		fmt.Fprintf(&in, "%#x\n", a)
	}
	cmd := exec.Command(Tool, "--obj="+file, "--no-demangle", "--output-style=JSON")
	cmd.Stdin = &in
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", Tool, err)
	}
	answers := make([][]Frame, len(addresses))
	decoder := json.NewDecoder(bytes.NewReader(out))
	for i := range answers {
		var line struct {
			Symbol []struct {
				FunctionName, FileName string
				Line                   int
			}
		}
		if err := decoder.Decode(&line); err != nil {
			return nil, fmt.Errorf("answer %d of %s: %w", i, Tool, err)
		}
		for _, s := range line.Symbol {
			f := Frame{Function: s.FunctionName, File: s.FileName, Line: s.Line}
			if f.Line == 0 && len(line.Symbol) == 1 && !strings.Contains(f.File, "/") {
				f.File = "" // of the symbol table, not of a line
			}
			answers[i] = append(answers[i], f.clean())
		}
	}
	return answers, nil
}

// clean makes paths comparable.
func (f Frame) clean() Frame {
	if f.File != "" {
		f.File = path.Clean(f.File)
	}
	return f
}

// Program is an executable file as the receiver reads it.
type Program struct {
	Path  string
	File  *symbol.File
	index *symbol.Index
	units map[uint32]*symbol.Unit
	open  []*os.File
	size  int64
	o     symbol.Options
}

// Open reads a file; the caller closes it.
func Open(file string) (*Program, error) {
	p := &Program{Path: file, units: map[uint32]*symbol.Unit{}}
	p.o = symbol.Options{Native: true, Go: true, Separate: p.separate, Other: p.other}
	f, size, err := p.openFile(file)
	if err != nil {
		return nil, err
	}
	p.size = size
	if p.File, err = symbol.Read(f, size, p.o); err != nil {
		p.index = &symbol.Index{}
		return p, err
	}
	if p.index = p.File.Index(); p.index == nil {
		p.index, err = symbol.ReadIndex(f, size, p.o)
	}
	return p, err
}

func (p *Program) openFile(file string) (*os.File, int64, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	p.open = append(p.open, f)
	return f, info.Size(), nil
}

// Close closes the files.
func (p *Program) Close() {
	for _, f := range p.open {
		f.Close()
	}
}

func (p *Program) separate(s symbol.Separate) (io.ReaderAt, int64) {
	for _, at := range s.Paths([]string{"/usr/lib/debug"}, p.Path) {
		if f, size, err := p.openFile(at); err == nil && s.Is(f, size, symbol.Checksum) {
			return f, size
		}
	}
	return nil, 0
}

func (p *Program) other(o dwarfsymbol.Other) (io.ReaderAt, int64) {
	at := o.Path
	if o.Package {
		at = p.Path + ".dwp"
	} else if !filepath.IsAbs(at) {
		at = filepath.Join(filepath.Dir(p.Path), at)
	}
	f, size, err := p.openFile(at)
	if err != nil {
		return nil, 0
	}
	return f, size
}

// Prepare reads the debug information of addresses at once, as the receiver does for all
// that are new to it.
func (p *Program) Prepare(addresses []uint64) error {
	x := p.index
	if x.Units() == 0 {
		return nil
	}
	var wanted []uint32
	for _, addr := range addresses {
		if n, ok := x.Unit(addr); ok {
			if _, known := p.units[n]; !known {
				p.units[n] = nil
				wanted = append(wanted, n)
			}
		}
	}
	units, err := symbol.ReadUnits(p.open[0], p.size, p.o, x, wanted)
	for i, u := range units {
		p.units[wanted[i]] = u
	}
	return err
}

// Name returns what the receiver says of an address that was prepared.
func (p *Program) Name(addr uint64) (out []Frame) {
	for _, f := range p.File.Frames(addr, p.unit(addr), nil) {
		out = append(out, Frame(f).clean())
	}
	return out
}

// unit is what the debug information says of an address that was prepared.
func (p *Program) unit(addr uint64) *symbol.Unit {
	if n, ok := p.index.Unit(addr); ok {
		return p.units[n]
	}
	return nil
}
