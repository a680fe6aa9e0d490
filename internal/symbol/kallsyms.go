// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package symbol

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
)

const (
	// maxKernelSymbols bounds the functions kept; a distribution's kernel with
	// its modules has about 200,000. maxKernelText bounds their names.
	// Room for a distribution's kernel: growing leaves several times as much garbage.
	usualSymbols = 160_000
	usualText    = 4 << 20

	maxKernelSymbols = 2 << 20
	maxKernelText    = 128 << 20
	maxModules       = padding
	// maxLine is more than the 512 bytes of a name (KSYM_NAME_LEN) and 56 of a
	// module name.
	maxLine = 4096

	// page is the smallest.
	page = 4096
)

// kernelSymbol is a function while the list is being read.
type kernelSymbol struct {
	start  uint64
	name   uint32 // offset in text
	length uint16
	owner  uint16
	rank   uint8
}

// kallsyms is what ReadKallsyms collects.
type kallsyms struct {
	all       []kernelSymbol
	text      []byte
	modules   []string
	owners    map[string]uint16
	marks     [2]uint64 // _stext, _etext
	sizes     map[uint64]uint64
	shown     bool // an address was not zero
	malformed int
}

// ReadKallsyms reads the kernel's symbol list, /proc/kallsyms. It streams: the
// list is several times larger than what is kept of it. sizes are bytes of the code of BPF
// programs by their start, as far as known.
func ReadKallsyms(r io.Reader, sizes map[uint64]uint64) (*Kernel, error) {
	return readKallsyms(r, kallsyms{
		all:   make([]kernelSymbol, 0, usualSymbols),
		text:  make([]byte, 0, usualText),
		sizes: sizes,
	})
}

func readKallsyms(r io.Reader, l kallsyms) (*Kernel, error) {
	l.modules, l.owners = []string{""}, map[string]uint16{"": 0}
	in := bufio.NewReaderSize(r, maxLine)
	for {
		line, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			l.malformed++
			err = skipLine(in)
			line = nil
		}
		if err != nil && err != io.EOF {
			return nil, fmt.Errorf("read kernel symbols: %w", err)
		}
		if line = bytes.TrimRight(line, "\n"); len(line) > 0 {
			if aerr := l.add(line); aerr != nil {
				return nil, aerr
			}
		}
		if err == io.EOF {
			return l.kernel()
		}
	}
}

// skipLine reads up to the end of a line that does not fit the buffer.
func skipLine(in *bufio.Reader) error {
	for {
		_, err := in.ReadSlice('\n')
		if !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}

// add takes a line, "address type name" or "address type name\t[module]"
// (kernel/kallsyms.c, s_show, v6.12).
func (l *kallsyms) add(line []byte) error {
	addr, n := parseHex(line)
	if n == 0 || len(line) < n+4 || line[n] != ' ' || line[n+2] != ' ' {
		l.malformed++
		return nil
	}
	kind, name := line[n+1], line[n+3:]
	if kind != 't' && kind != 'T' && kind != 'w' && kind != 'W' {
		return nil // data
	}
	var module []byte
	if i := bytes.IndexByte(name, '\t'); i >= 0 {
		name, module = name[:i], bytes.Trim(name[i+1:], "[]")
	}
	if len(name) == 0 {
		l.malformed++
		return nil
	}
	l.mark(addr, name, module)
	l.shown = l.shown || addr != 0
	rank := kernelRank(kind, name)
	if len(module) == 0 && isEnd(name) {
		name = nil
	}
	return l.keep(addr, rank, name, module)
}

// mark remembers where the kernel's text begins and ends.
func (l *kallsyms) mark(addr uint64, name, module []byte) {
	if len(module) > 0 {
		return
	}
	switch string(name) {
	case "_stext":
		l.marks[0] = addr
	case "_etext":
		l.marks[1] = addr
	}
}

// isEnd recognizes the marks behind the last function of a group. They are kept
// without name: what follows them is nobody's.
func isEnd(name []byte) bool {
	return string(name) == "_etext" || string(name) == "_einittext" ||
		name[0] == '_' && bytes.HasSuffix(name, []byte("_text_end"))
}

func (l *kallsyms) keep(addr uint64, rank uint8, name, module []byte) error {
	owner, ok := l.owners[string(module)]
	if !ok {
		if len(l.modules) == maxModules {
			return fmt.Errorf("kernel symbols: more than %d modules", maxModules)
		}
		owner = uint16(len(l.modules))
		l.modules = append(l.modules, string(module))
		l.owners[string(module)] = owner
	}
	if len(l.all) == maxKernelSymbols || len(l.text)+len(name) > maxKernelText {
		return fmt.Errorf("kernel symbols: more than %d functions or %d bytes of names", maxKernelSymbols, maxKernelText)
	}
	l.all = append(l.all, kernelSymbol{
		start: addr, name: uint32(len(l.text)), length: uint16(len(name)), owner: owner, rank: rank,
	})
	l.text = append(l.text, name...)
	return nil
}

// kernelRank orders the names of one address: functions before the marks that
// the linker script puts around groups of them, then as in files.
func kernelRank(kind byte, name []byte) uint8 {
	r := uint8(leadingUnderscores(name))
	switch kind {
	case 't':
		r += rankLocal
	case 'w', 'W':
		r += rankWeak
	}
	for _, suffix := range []string{"_text_start", "_text_end", "_stext", "_etext", "_text", "_einittext", "_sinittext"} {
		if name[0] == '_' && bytes.HasSuffix(name, []byte(suffix)) {
			return r + 4*rankLocal
		}
	}
	return r
}

// kernel makes the table of what was collected.
func (l *kallsyms) kernel() (*Kernel, error) {
	if len(l.all) == 0 {
		return nil, ErrNoText
	}
	if !l.shown {
		return nil, ErrHidden
	}
	slices.SortFunc(l.all, func(a, b kernelSymbol) int {
		if a.start != b.start { // nearly always; spare the rest
			return cmp.Compare(a.start, b.start)
		}
		return cmp.Or(
			cmp.Compare(a.rank, b.rank),
			cmp.Compare(a.length, b.length),
			bytes.Compare(l.text[a.name:][:a.length], l.text[b.name:][:b.length]),
			cmp.Compare(l.modules[a.owner], l.modules[b.owner]),
		)
	})
	l.all = slices.CompactFunc(l.all, func(a, b kernelSymbol) bool { return a.start == b.start })
	l.end()
	return l.table(), nil
}

// end marks where modules end. Each has pages of its own (module_memory_alloc in
// kernel/module/main.c, v6.12), so the last function of one reaches to the end of its page:
// what is loaded behind it later must not have its name. A program of BPF that does not end
// where another begins may have a module behind it, too, and reaches as far if its size is not
// known.
func (l *kallsyms) end() {
	marked := make([]kernelSymbol, 0, len(l.all)+len(l.modules))
	for i, s := range l.all {
		marked = append(marked, s)
		after := s.start&^(page-1) + page
		m := l.modules[s.owner]
		if size := l.sizes[s.start]; size > 0 && m == BPF {
			after = s.start + size
		}
		if m == "" || after <= s.start {
			continue
		}
		if i+1 == len(l.all) || (m == BPF || l.all[i+1].owner != s.owner) && l.all[i+1].start > after {
			marked = append(marked, kernelSymbol{start: after, owner: s.owner})
		}
	}
	l.all = marked
}

// table stores the names in the order of their addresses.
func (l *kallsyms) table() *Kernel {
	k := &Kernel{
		starts: make([]uint64, len(l.all)), owners: make([]uint16, len(l.all)),
		modules: slices.Clone(l.modules), start: l.marks[0], end: l.marks[1], malformed: l.malformed,
	}
	var names nameWriter
	for i, s := range l.all {
		k.starts[i], k.owners[i] = s.start, s.owner
		name := l.name(s)
		if l.pads(i) {
			k.owners[i] |= padding
			name = nil
		}
		names.add(name)
	}
	k.names = names.names()
	return k
}

func (l *kallsyms) name(s kernelSymbol) []byte { return l.text[s.name:][:s.length] }

// pads says whether a symbol is the padding before the next one.
func (l *kallsyms) pads(i int) bool {
	of, ok := bytes.CutPrefix(l.name(l.all[i]), []byte(paddingPrefix))
	return ok && i+1 < len(l.all) && l.all[i+1].owner == l.all[i].owner && len(of) > 0 && bytes.Equal(of, l.name(l.all[i+1]))
}

// parseHex reads lower-case hex digits and says how many there were, none if
// the number does not fit.
func parseHex(b []byte) (v uint64, n int) {
	for n < len(b) {
		c := b[n]
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		default:
			return v, n
		}
		if v>>60 != 0 {
			return 0, 0
		}
		v = v<<4 | uint64(c)
		n++
	}
	return v, n
}
