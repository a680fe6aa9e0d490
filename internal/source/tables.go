// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
	"errors"
	"fmt"
	"math"
	"sort"
	"sync"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/bpf"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/unwind"
)

// The layout of bpf/wire.h.
const (
	chunkSize   = 1 << 20
	rowBytes    = int(unsafe.Sizeof(bpf.ProfilerWireRow{}))
	regionBytes = int(unsafe.Sizeof(bpf.ProfilerWireRegion{}))
	chunkRows   = chunkSize / rowBytes
	maxRules    = 16384

	// maxChunks bounds the memory of tables and regions: 256 MiB.
	maxChunks = 256
	// maxSpaces bounds the processes whose tables the sampler knows.
	maxSpaces = 8192
	// minRegions is the room of the smallest list of regions, maxRegions of the largest.
	minRegions, maxRegions = 16, 4096
	// maxRows and maxFileRules bound the table of a file, which may be made to fill
	// all there is: libclang has 1.3 million rows and 800 rules.
	maxRows, maxFileRules = 4 << 20, 2048
	// listChunks are kept for lists.
	listChunks = 32
	// minPiece is the room that a part of a table wants, not to be many.
	minPiece = 4096
)

// ErrTablesFull: what is kept of tables in the kernel has reached its limit.
var ErrTablesFull = errors.New("no room for unwind tables")

// tables writes unwind tables and the memory of processes where the sampler reads
// them: into mapped memory, so that no system call keeps the sampler from running.
// It is safe for concurrent use.
type tables struct {
	chunks, spaces *ebpf.Map

	// placing guards what rows are written to, publishing what lists are. Both may be
	// held for a grace period, mu never is.
	placing, publishing sync.Mutex
	lists               room
	published           map[uint32]published

	mu     sync.Mutex
	closed bool
	// memory is by the number of a chunk.
	memory []chunk
	rules  rules
	// free are rows to be written to. users are the rules of a table, by its first rows.
	free  spans
	users map[span][]uint32
	// spare are lists to be used again, by the logarithm of their room.
	spare [20][]list
	// retired may still be read by programs that run.
	retired retired
}

// retired are lists, and rows of tables with their rules.
type retired struct {
	lists []list
	rows  []span
	rules []uint32
}

// room is what is left of a chunk.
type room struct {
	chunk    uint32
	from, to int
}

// list is a list of regions, the first of which says whose they are.
type list struct {
	chunk, first uint32
	log          int // of its room, in regions
}

type published struct {
	proc       event.ProcID
	generation event.Generation
	list       list
}

func newTables(o *objects) (*tables, error) {
	size := maxRules * int(unsafe.Sizeof(bpf.ProfilerWireRule{}))
	memory, err := unix.Mmap(o.Rules.FD(), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, explain(fmt.Errorf("map the rules of unwind tables: %w", err))
	}
	return &tables{
		chunks: o.Chunks, spaces: o.Spaces, published: map[uint32]published{}, users: map[span][]uint32{},
		rules: newRules(unsafe.Slice((*bpf.ProfilerWireRule)(unsafe.Pointer(&memory[0])), maxRules)),
	}, nil
}

// close gives the memory back. What comes after fails.
func (t *tables) close() error {
	t.placing.Lock()
	defer t.placing.Unlock()
	t.publishing.Lock()
	defer t.publishing.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil
	}
	t.closed = true
	var errs []error
	for _, c := range t.memory {
		if c.Map != nil {
			errs = append(errs, unix.Munmap(c.bytes), c.Close())
		}
	}
	rules := t.rules.memory
	memory := unsafe.Slice((*byte)(unsafe.Pointer(&rules[0])), len(rules)*int(unsafe.Sizeof(rules[0])))
	return errors.Join(append(errs, unix.Munmap(memory))...)
}

// errClosed: the source is no more.
var errClosed = errors.New("unwind tables are closed")

func (t *tables) isClosed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.closed
}

// fits reports whether there is room for a table, which may be made to fill it.
func (t *tables) fits(table *unwind.Table) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return errClosed
	}
	room := t.free.total() + (maxChunks-listChunks-t.takenChunks())*chunkRows
	if len(table.Rows) > min(maxRows, room) || len(table.Rules) > maxFileRules {
		return fmt.Errorf("%w: a file with %d rows and %d rules", ErrTablesFull, len(table.Rows), len(table.Rules))
	}
	return nil
}

// place writes the rows of a table, in pieces of a chunk each.
func (t *tables) place(table *unwind.Table) (pieces []unwind.Piece, err error) {
	t.placing.Lock()
	defer t.placing.Unlock()
	if err := t.fits(table); err != nil {
		return nil, err
	}
	numbers, rows := t.takeRules(table.Rules), table.Rows
	for len(rows) > 0 {
		s, err := t.takeRows(len(rows))
		if err != nil {
			t.giveBack(retired{rows: spansOf(pieces), rules: numbers})
			return nil, err
		}
		t.write(s, rows, numbers)
		// What is before the first row and behind the last belongs to the file too.
		p := unwind.Piece{
			From: table.Base, To: table.Base + math.MaxUint32, Base: table.Base,
			Chunk: s.chunk, First: uint32(s.from), Rows: uint32(s.rows()),
		}
		if len(pieces) > 0 {
			p.From = table.Base + uint64(rows[0].Offset)
		}
		if rows = rows[s.rows():]; len(rows) > 0 {
			p.To = table.Base + uint64(rows[0].Offset)
		}
		pieces = append(pieces, p)
	}
	if len(pieces) > 0 {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.users[spanOf(pieces[0])] = numbers
	}
	return pieces, nil
}

func (t *tables) takeRules(all []unwind.Rule) []uint32 {
	t.mu.Lock()
	defer t.mu.Unlock()
	numbers := make([]uint32, len(all))
	for i, r := range all {
		numbers[i] = t.rules.take(r)
	}
	return numbers
}

// takeRows returns room for up to n rows.
func (t *tables) takeRows(n int) (span, error) {
	if s, ok := t.freeRows(n); ok {
		return s, nil
	}
	index, err := t.grow(maxChunks - listChunks)
	if err != nil {
		return span{}, err
	}
	n = min(n, chunkRows)
	if n < chunkRows {
		t.giveBack(retired{rows: []span{{index, n, chunkRows}}})
	}
	return span{index, 0, n}, nil
}

func (t *tables) freeRows(n int) (span, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.free.take(n, minPiece)
}

// write fills a span with the first of the rows.
func (t *tables) write(s span, rows []unwind.Row, numbers []uint32) {
	bytes := t.at(s.chunk, s.from*rowBytes, s.rows()*rowBytes)
	out := unsafe.Slice((*bpf.ProfilerWireRow)(unsafe.Pointer(&bytes[0])), s.rows())
	for i := range out {
		out[i] = bpf.ProfilerWireRow{Offset: rows[i].Offset, Rule: numbers[rows[i].Rule]}
	}
}

// drop is told of pieces that no process uses which is published.
func (t *tables) drop(pieces []unwind.Piece) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range spansOf(pieces) {
		t.retired.rows = append(t.retired.rows, s)
		t.retired.rules = append(t.retired.rules, t.users[s]...)
		delete(t.users, s)
	}
}

func spanOf(p unwind.Piece) span { return span{p.Chunk, int(p.First), int(p.First + p.Rows)} }

func spansOf(pieces []unwind.Piece) (out []span) {
	for _, p := range pieces {
		out = append(out, spanOf(p))
	}
	return out
}

// giveBack makes room of what no program reads.
func (t *tables) giveBack(r retired) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	for _, l := range r.lists {
		t.spare[l.log] = append(t.spare[l.log], l)
	}
	for _, s := range r.rows {
		t.free.put(s)
	}
	t.rules.release(r.rules)
}

// barrier is told that a grace period begins; passed, whether it has passed. What was
// retired before is then read by no program.
func (t *tables) barrier() (passed func(ok bool)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	batch := t.retired
	t.retired = retired{}
	return func(ok bool) {
		if !ok {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.retired.lists = append(t.retired.lists, batch.lists...)
			t.retired.rows = append(t.retired.rows, batch.rows...)
			t.retired.rules = append(t.retired.rules, batch.rules...)
			return
		}
		t.giveBack(batch)
		if index, ok := t.emptied(); ok {
			t.shrink(index)
		}
	}
}

// emptied takes a chunk that holds no rows any more.
func (t *tables) emptied() (index uint32, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, ok := t.free.whole(chunkRows)
	return s.chunk, ok
}

// rule reads the rule that holds at an offset from the base of a piece.
func (t *tables) rule(p unwind.Piece, offset uint32) unwind.Rule {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || p.Rows == 0 {
		return unwind.NoInfo
	}
	bytes := t.memory[p.Chunk].bytes[int(p.First)*rowBytes:]
	rows := unsafe.Slice((*bpf.ProfilerWireRow)(unsafe.Pointer(&bytes[0])), p.Rows)
	i := sort.Search(len(rows), func(i int) bool { return rows[i].Offset > offset })
	if i == 0 {
		return unwind.NoInfo
	}
	return t.rules.at(rows[i-1].Rule)
}
