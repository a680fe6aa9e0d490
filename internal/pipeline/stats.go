// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/process"
)

// Ledger counts samples by where they are. Seen = Held + Open + Closed + LostHold +
// Filtered + Undecided at any moment.
type Ledger struct {
	// Seen arrived in batches.
	Seen uint64
	// LostHold found the hold buffer full.
	LostHold uint64
	// Held wait for their completion, Open are in windows that have not been handed out,
	// or wait for tables to walk their stacks.
	Held, Open uint64
	// Closed are in windows that were handed out.
	Closed uint64
	Selection
	// Late counts records of any kind that arrived after a completion that covers
	// them: a breach of the promise the completions make.
	Late uint64
}

// Stacks counts attributed samples by how their user stack came out, indexed by
// event.UserStack.
type Stacks [event.UserStacks]uint64

// Stats is what the pipeline counted, at one moment.
type Stats struct {
	Ledger    Ledger
	Stacks    Stacks
	Processes process.Stats
	// SymbolBytes is the memory of the files and units that are kept, SymbolsEvicted how
	// many went because of the limit.
	SymbolBytes    int
	SymbolsEvicted uint64
	// FilesFaulty have names in part only.
	FilesFaulty uint64
	DebugUnits  DebugUnits
	PerfMaps    PerfMaps
	Contexts    Contexts
	Threads     ThreadContexts
	// TablesFaulty counts files whose unwind tables lack something, TablesFull those that
	// found no room.
	TablesFaulty, TablesFull uint64
	// Copied counts stacks that were walked here, from a copy.
	Copied uint64
}

// Stats returns the counts.
func (p *Pipeline) Stats() Stats {
	s := Stats{
		Ledger:         p.ledger,
		Stacks:         p.stacks,
		Processes:      p.table.Stats(),
		SymbolBytes:    p.code.known.Bytes(),
		SymbolsEvicted: p.code.known.Evicted(),
		FilesFaulty:    p.code.faulty,
		DebugUnits:     p.code.units.stats,
		PerfMaps:       p.jit.stats,
		Contexts:       p.contexts.stats,
		Threads:        p.walk.threads.stats(),
		TablesFaulty:   p.code.faultyTables,
		TablesFull:     p.code.full,
		Copied:         p.copies.walked,
	}
	s.Ledger.Selection = p.selection.stats
	s.Ledger.Held = uint64(p.hold.Len())
	s.Ledger.Open = uint64(len(p.copies.waiting))
	for _, w := range p.open() {
		s.Ledger.Open += w.Samples()
	}
	return s
}
