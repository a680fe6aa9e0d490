// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
	"errors"
	"fmt"
	"math/bits"
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
	// minRegions is the room of the smallest list of regions.
	minRegions = 16
)

// ErrTablesFull: what is kept of tables in the kernel has reached its limit.
var ErrTablesFull = errors.New("no room for unwind tables")

// tables writes unwind tables and the memory of processes where the sampler reads
// them: into mapped memory, so that no system call keeps the sampler from running.
// It is safe for concurrent use.
type tables struct {
	chunks, spaces *ebpf.Map
	rules          []bpf.ProfilerWireRule

	mu      sync.Mutex
	memory  []chunk
	numbers map[unwind.Rule]uint32
	// rows is the chunk that is filled with rows, lists the one with regions.
	rows, lists room
	// spare are lists to be used again, by the logarithm of their room. retired may
	// still be read by programs that run, waiting is retired until the barrier that
	// is under way has passed.
	spare            [20][]list
	retired, waiting []list
	published        map[uint32]published
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
	return t, nil
}

func (t *tables) close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var errs []error
	for _, c := range t.memory {
		errs = append(errs, unix.Munmap(c.bytes), c.Close())
	}
	t.memory = nil
	if t.rules != nil {
		memory := unsafe.Slice((*byte)(unsafe.Pointer(&t.rules[0])), len(t.rules)*int(unsafe.Sizeof(t.rules[0])))
		errs = append(errs, unix.Munmap(memory))
		t.rules = nil
	}
	return errors.Join(errs...)
}

// grow adds a chunk. It waits for a grace period.
func (t *tables) grow() (room, error) {
	if len(t.memory) >= maxChunks {
		return room{}, ErrTablesFull
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
	index := uint32(len(t.memory))
	if err := t.chunks.Put(index, m); err != nil {
		return room{}, errors.Join(fmt.Errorf("hand over unwind tables: %w", err), unix.Munmap(bytes), m.Close())
	}
	t.memory = append(t.memory, chunk{m, bytes})
	return room{chunk: index, to: chunkSize}, nil
}

// take cuts n bytes off a room, or off a new chunk. It takes less, but at least one
// unit, if there is less and that will do.
func (t *tables) take(r *room, n, unit int, less bool) (at, taken int, err error) {
	if r.to-r.from < n && !(less && r.to-r.from >= unit) {
		fresh, err := t.grow()
		if err != nil {
			return 0, 0, err
		}
		*r = fresh
	}
	at, taken = r.from, min(n, (r.to-r.from)/unit*unit)
	r.from += taken
	return at, taken, nil
}

// number returns the number of a rule, that of NoInfo if there are too many.
func (t *tables) number(r unwind.Rule) uint32 {
	if n, ok := t.numbers[r]; ok {
		return n
	}
	n := uint32(len(t.numbers))
	if n >= maxRules {
		return 0
	}
	t.numbers[r] = n
	signal := uint8(0)
	if r.Signal {
		signal = 1
	}
	t.rules[n] = bpf.ProfilerWireRule{
		Cfa: uint8(r.CFA), Fp: uint8(r.FP), Ra: uint8(r.RA), Signal: signal,
		CfaOffset: r.CFAOffset, FpOffset: r.FPOffset, RaOffset: r.RAOffset,
	}
	return n
}

// place writes the rows of a table, in pieces of a chunk each.
func (t *tables) place(table *unwind.Table) (pieces []unwind.Piece, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	numbers := make([]uint32, len(table.Rules))
	for i, r := range table.Rules {
		numbers[i] = t.number(r)
	}
	for rows := table.Rows; len(rows) > 0; {
		at, taken, err := t.take(&t.rows, len(rows)*rowBytes, rowBytes, true)
		if err != nil {
			return nil, err
		}
		n := taken / rowBytes
		out := unsafe.Slice((*bpf.ProfilerWireRow)(unsafe.Pointer(&t.memory[t.rows.chunk].bytes[at])), n)
		for i := range out {
			out[i] = bpf.ProfilerWireRow{Offset: rows[i].Offset, Rule: numbers[rows[i].Rule]}
		}
		p := unwind.Piece{
			From: table.Base + uint64(rows[0].Offset), Base: table.Base,
			Chunk: t.rows.chunk, First: uint32(at / rowBytes), Rows: uint32(n),
		}
		last := rows[n-1]
		rows = rows[n:]
		p.To = table.Base + uint64(last.Offset) // it has the rule NoInfo if it is the table's last
		if len(rows) > 0 {
			p.To = table.Base + uint64(rows[0].Offset)
		}
		pieces = append(pieces, p)
	}
	return pieces, nil
}

// publish makes the sampler use the tables of an image, in place of what it used for
// the process before.
func (t *tables) publish(s unwind.Space) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	before, replaces := t.published[s.Proc.PID]
	if !replaces && len(t.published) >= maxSpaces {
		return ErrTablesFull
	}
	l, err := t.list(len(s.Regions) + 1)
	if err != nil {
		return err
	}
	at := int(l.first) * regionBytes
	out := unsafe.Slice((*bpf.ProfilerWireRegion)(unsafe.Pointer(&t.memory[l.chunk].bytes[at])), len(s.Regions)+1)
	out[0] = bpf.ProfilerWireRegion{Start: uint64(s.Proc.Start), End: uint64(s.Generation)}
	for i, r := range s.Regions {
		out[i+1] = bpf.ProfilerWireRegion{
			Start: r.Start, End: r.End, Base: r.Base,
			Rows: uint64(r.Chunk) | uint64(r.First)<<16 | uint64(r.Rows)<<40,
		}
	}
	value := bpf.ProfilerWireSpace{Chunk: l.chunk, First: l.first, Count: uint32(len(s.Regions))}
	if err := t.spaces.Put(s.Proc.PID, &value); err != nil {
		t.retired = append(t.retired, l)
		return fmt.Errorf("hand over the memory of process %d: %w", s.Proc.PID, err)
	}
	if replaces {
		t.retired = append(t.retired, before.list)
	}
	t.published[s.Proc.PID] = published{s.Proc, s.Generation, l}
	return nil
}

// withdraw ends the use of tables for an image that is over.
func (t *tables) withdraw(s unwind.Space) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, ok := t.published[s.Proc.PID]
	if !ok || p.proc != s.Proc || p.generation != s.Generation {
		return nil
	}
	delete(t.published, s.Proc.PID)
	t.retired = append(t.retired, p.list)
	if err := t.spaces.Delete(s.Proc.PID); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("withdraw the memory of process %d: %w", s.Proc.PID, err)
	}
	return nil
}

// list returns a list with room for n regions.
func (t *tables) list(n int) (list, error) {
	log := bits.Len(uint(max(n, minRegions) - 1))
	if log >= len(t.spare) || regionBytes<<log > chunkSize {
		return list{}, fmt.Errorf("%w: %d regions of one process", ErrTablesFull, n)
	}
	if spare := t.spare[log]; len(spare) > 0 {
		t.spare[log] = spare[:len(spare)-1]
		return spare[len(spare)-1], nil
	}
	at, _, err := t.take(&t.lists, regionBytes<<log, regionBytes<<log, false)
	if err != nil {
		return list{}, err
	}
	return list{t.lists.chunk, uint32(at / regionBytes), log}, nil
}

// barrier is told that a grace period begins; the result, that it has passed. What
// was retired before is read by no program then.
func (t *tables) barrier() (passed func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting = append(t.waiting, t.retired...)
	t.retired = nil
	n := len(t.waiting)
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		for _, l := range t.waiting[:n] {
			t.spare[l.log] = append(t.spare[l.log], l)
		}
		t.waiting = append(t.waiting[:0], t.waiting[n:]...)
	}
}

// bytes is the memory of all chunks.
func (t *tables) bytes() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return uint64(len(t.memory)) * chunkSize
}
