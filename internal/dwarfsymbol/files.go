// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package dwarfsymbol

import (
	"fmt"
	"path"
)

const (
	// maxFiles bounds the files of a line program, and its directories. Those of a large
	// C++ unit are some thousand.
	maxFiles = 1 << 20
	// maxFormats bounds what is told of each: DWARF 5 knows five things (6.2.4.1), LLVM one
	// more.
	maxFormats = 16
	// maxPaths bounds the paths that a unit uses, together: many may be of one long name.
	maxPaths = maxBlock
)

// Content of the tables of files (DWARF 5, 7.22).
const (
	contentPath      = 1
	contentDirectory = 2
	contentTime      = 3
	contentSize      = 4
)

// Formats of DWARF 2 to 4, in terms of DWARF 5 (DWARF 4, 6.2.4).
var (
	oldDirectory = []attr{{name: contentPath, form: formString}}
	oldFile      = []attr{
		{name: contentPath, form: formString}, {name: contentDirectory, form: formUdata},
		{name: contentTime, form: formUdata}, {name: contentSize, form: formUdata},
	}
)

// files are the directories and files of a line program.
type files struct {
	// unit has the line program, and offsets of the size that this one says.
	unit               *unit
	directory          string // of the compilation
	directories, names fileTable
	// known are the paths in the text of those that were asked for, paths their bytes.
	known map[uint64]uint32
	paths int
}

// fileTable tells where in the header the directories or files are. Most are never asked
// for, and all may refer to one long name, so they are read when they are.
type fileTable struct {
	first   uint64 // number of the first one
	formats []attr
	content []byte
	starts  []uint32 // in content
}

type fileEntry struct {
	path      value
	directory uint64
}

// readOld reads the directories and files of DWARF 2 to 4.
func (f *files) readOld(c *cursor) (err error) {
	if f.directories, err = f.oldTable(c, oldDirectory); err != nil {
		return err
	}
	f.names, err = f.oldTable(c, oldFile)
	return err
}

// oldTable reads a table up to its end, an empty name.
func (f *files) oldTable(c *cursor, formats []attr) (fileTable, error) {
	t := fileTable{first: 1, formats: formats, content: c.b}
	for len(c.b) > 0 && c.b[0] != 0 {
		if err := f.add(&t, c); err != nil {
			return t, err
		}
	}
	if c.u8(); c.short {
		return t, fmt.Errorf("%w: files of a line program", ErrDamaged)
	}
	return t, nil
}

// read reads them as DWARF 5 has them.
func (f *files) read(c *cursor) (err error) {
	if f.directories, err = f.table(c); err != nil {
		return err
	}
	f.names, err = f.table(c)
	return err
}

func (f *files) table(c *cursor) (t fileTable, err error) {
	if t.formats, err = formats(c); err != nil {
		return t, err
	}
	n := c.uleb()
	t.content = c.b
	if least := leastSize(t.formats, f.unit.word); c.short || n > 0 && (least == 0 || n > uint64(len(c.b)/least)) {
		return t, fmt.Errorf("%w: %d files of %d bytes in %d", ErrDamaged, n, least, len(c.b))
	}
	for range n {
		if err := f.add(&t, c); err != nil {
			return t, err
		}
	}
	return t, nil
}

// formats reads what is told of each file.
func formats(c *cursor) ([]attr, error) {
	n := c.u8()
	if n > maxFormats {
		return nil, fmt.Errorf("%w: %d things about each file, at most %d are read", ErrTooLarge, n, maxFormats)
	}
	out := make([]attr, n)
	for i := range out {
		out[i] = attr{name: c.uleb(), form: c.uleb()}
	}
	return out, nil
}

// leastSize is how many bytes an entry has at least.
func leastSize(formats []attr, word int) (n int) {
	for _, f := range formats {
		size := fixedSize(f.form, word, addressSize)
		if size < 0 {
			size = 1 // a length, or the end of a text
		}
		n += size
	}
	return n
}

// add passes over the next entry of a table.
func (f *files) add(t *fileTable, c *cursor) error {
	if len(t.starts) == maxFiles {
		return fmt.Errorf("%w: more than %d files of a line program", ErrTooLarge, maxFiles)
	}
	t.starts = append(t.starts, uint32(len(t.content)-len(c.b)))
	if _, err := f.entry(t, c); err != nil {
		return err
	}
	if c.short {
		return fmt.Errorf("%w: files of a line program", ErrDamaged)
	}
	return nil
}

func (f *files) entry(t *fileTable, c *cursor) (e fileEntry, err error) {
	for _, at := range t.formats {
		v, err := f.unit.value(c, at)
		if err != nil {
			return e, err
		}
		switch at.name {
		case contentPath:
			e.path = v
		case contentDirectory:
			e.directory = v.n
		}
	}
	return e, nil
}

// find returns the path of entry n as it is in the table, and the number of its directory.
func (f *files) find(t *fileTable, n uint64) (p string, directory uint64, ok bool, err error) {
	i := n - t.first
	if n < t.first || i >= uint64(len(t.starts)) {
		return "", 0, false, nil
	}
	c := cursor{b: t.content[t.starts[i]:]}
	size := len(c.b)
	e, err := f.entry(t, &c)
	if err == nil {
		err = f.unit.debug.spend(size - len(c.b)) // files may share a long one
	}
	if err != nil {
		return "", 0, false, err
	}
	text, err := f.unit.text(e.path)
	return string(text[:min(len(text), maxText)]), e.directory, true, err
}

// path returns the path of file n, empty if there is none.
func (f *files) path(n uint64) (string, error) {
	p, number, ok, err := f.find(&f.names, n)
	if !ok || err != nil || path.IsAbs(p) {
		return p, err
	}
	directory, _, ok, err := f.find(&f.directories, number)
	if err != nil {
		return "", err
	}
	p = join(directory, p)
	if !path.IsAbs(p) && (number != 0 || !ok) { // 0 is that of the compilation
		p = join(f.directory, p)
	}
	return p, nil
}

// join leaves the path as it is: what is before a .. may be a link.
func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}

// file returns where in the text the path of a file is.
func (b *builder) file(n uint64) (uint32, error) {
	f := &b.files
	if at, ok := f.known[n]; ok {
		return at, nil
	}
	p, err := f.path(n)
	if p == "" || err != nil {
		return 0, err
	}
	if f.paths += len(p); f.paths > maxPaths {
		return 0, fmt.Errorf("%w: more than %d bytes of paths", ErrTooLarge, maxPaths)
	}
	at := b.text.add([]byte(p))
	f.known[n] = at
	return at, nil
}
