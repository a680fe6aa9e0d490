// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
	"errors"
	"fmt"
	"math"
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
)

// ErrTablesFull: what is kept of tables in the kernel has reached its limit.
var ErrTablesFull = errors.New("no room for unwind tables")

// tables writes unwind tables and the memory of processes where the sampler reads
// them: into mapped memory, so that no system call keeps the sampler from running.
// It is safe for concurrent use.
type tables struct {
	chunks, spaces *ebpf.Map
	rules          []bpf.ProfilerWireRule

	// placing guards what rows are written to, publishing what lists are. Both may be
	// held for a grace period, mu never is.
	placing, publishing sync.Mutex
	numbers             map[unwind.Rule]uint32
	rows, lists         room
	published           map[uint32]published

	mu     sync.Mutex
	memory []chunk
	closed bool
	// spare are lists to be used again, by the logarithm of their room; retired may
	// still be read by programs that run.
	spare   [20][]list
	retired []list
}

// chunk is a map of one element, and its memory.
type chunk struct {
	*ebpf.Map
	bytes []byte
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

func newTables(o *objects) (_ *tables, err error) {
	t := &tables{
		chunks: o.Chunks, spaces: o.Spaces, numbers: map[unwind.Rule]uint32{}, published: map[uint32]published{},
	}
	size := maxRules * int(unsafe.Sizeof(bpf.ProfilerWireRule{}))
	memory, err := unix.Mmap(o.Rules.FD(), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, explain(fmt.Errorf("map the rules of unwind tables: %w", err))
	}
	t.rules = unsafe.Slice((*bpf.ProfilerWireRule)(unsafe.Pointer(&memory[0])), maxRules)
	t.number(unwind.NoInfo) // rule 0
	t.number(unwind.Rule{CFA: unwind.CFAUnsupported})
	return t, nil
}

// unsupported is the number of the rule that ends a walk.
const unsupported = 1

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
	memory := unsafe.Slice((*byte)(unsafe.Pointer(&t.rules[0])), len(t.rules)*int(unsafe.Sizeof(t.rules[0])))
	return errors.Join(append(errs, unix.Munmap(memory))...)
}

// errClosed: the source is no more.
var errClosed = errors.New("unwind tables are closed")

// reserve numbers a chunk to come, of at most so many.
func (t *tables) reserve(most int) (uint32, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.closed:
		return 0, errClosed
	case len(t.memory) >= most:
		return 0, ErrTablesFull
	}
	t.memory = append(t.memory, chunk{})
	return uint32(len(t.memory) - 1), nil
}

// grow adds a chunk. It waits for a grace period.
func (t *tables) grow(most int) (_ room, err error) {
	index, err := t.reserve(most)
	if err != nil {
		return room{}, err
	}
	m, err := ebpf.NewMap(&ebpf.MapSpec{
		Name: "chunk", Type: ebpf.Array, KeySize: 4, ValueSize: chunkSize, MaxEntries: 1, Flags: unix.BPF_F_MMAPABLE,
	})
	if err != nil {
		return room{}, explain(fmt.Errorf("make room for unwind tables: %w", err))
	}
	bytes, err := unix.Mmap(m.FD(), 0, chunkSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return room{}, errors.Join(fmt.Errorf("map unwind tables: %w", err), m.Close())
	}
	if err := t.chunks.Put(index, m); err != nil {
		return room{}, errors.Join(fmt.Errorf("hand over unwind tables: %w", err), unix.Munmap(bytes), m.Close())
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.memory[index] = chunk{m, bytes}
	return room{chunk: index, to: chunkSize}, nil
}

func (t *tables) isClosed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.closed
}

// at returns n bytes of a chunk.
func (t *tables) at(chunk uint32, from, n int) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.memory[chunk].bytes[from : from+n]
}

// left is how many chunks may still be added for rows.
func (t *tables) left() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return 0
	}
	return maxChunks - listChunks - len(t.memory)
}

// number returns the number of a rule, that of the unsupported one if there are too
// many.
func (t *tables) number(r unwind.Rule) uint32 {
	if n, ok := t.numbers[r]; ok {
		return n
	}
	n := uint32(len(t.numbers))
	if n >= maxRules {
		return unsupported
	}
	t.numbers[r] = n
	leaps := bpf.ProfilerWireLeapLEAP_NONE
	switch {
	case r.Signal:
		leaps = bpf.ProfilerWireLeapLEAP_SIGNAL
	case r.Switch:
		leaps = bpf.ProfilerWireLeapLEAP_SWITCH
	}
	t.rules[n] = bpf.ProfilerWireRule{
		Cfa: uint8(r.CFA), Fp: uint8(r.FP), Ra: uint8(r.RA), Leap: uint8(leaps),
		CfaOffset: r.CFAOffset, FpOffset: r.FPOffset, RaOffset: r.RAOffset,
	}
	return n
}

// fits reports whether there is room for a table, which may be made to fill it.
func (t *tables) fits(table *unwind.Table) error {
	chunks := (len(table.Rows) + chunkRows - 1) / chunkRows
	if len(table.Rows) > maxRows || len(table.Rules) > maxFileRules || chunks > t.left() {
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
	numbers := make([]uint32, len(table.Rules))
	for i, r := range table.Rules {
		numbers[i] = t.number(r)
	}
	for rows := table.Rows; len(rows) > 0; {
		if t.rows.to-t.rows.from < rowBytes {
			if t.rows, err = t.grow(maxChunks - listChunks); err != nil {
				return nil, err
			}
		}
		n := min(len(rows), (t.rows.to-t.rows.from)/rowBytes)
		bytes := t.at(t.rows.chunk, t.rows.from, n*rowBytes)
		out := unsafe.Slice((*bpf.ProfilerWireRow)(unsafe.Pointer(&bytes[0])), n)
		for i := range out {
			out[i] = bpf.ProfilerWireRow{Offset: rows[i].Offset, Rule: numbers[rows[i].Rule]}
		}
		// What is before the first row and behind the last belongs to the file too.
		p := unwind.Piece{
			From: table.Base, To: table.Base + math.MaxUint32, Base: table.Base,
			Chunk: t.rows.chunk, First: uint32(t.rows.from / rowBytes), Rows: uint32(n),
		}
		t.rows.from += n * rowBytes
		if len(pieces) > 0 {
			p.From = table.Base + uint64(rows[0].Offset)
		}
		if rows = rows[n:]; len(rows) > 0 {
			p.To = table.Base + uint64(rows[0].Offset)
		}
		pieces = append(pieces, p)
	}
	return pieces, nil
}

// bytes is the memory of all chunks.
func (t *tables) bytes() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return uint64(len(t.memory)) * chunkSize
}
