// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Package receiver wires the parts of the profiler together and runs them. It is
// the only place with goroutines, tickers and channels:
//
//	barrier --t0--> poll --batches, completions--> pipeline --windows--> emitter
//	                                                |      ^
//	                                           requests  answers
//	                                                v      |
//	                                                workers
//
// Each goroutine owns its state. Completions travel behind the records they
// cover, in the same channel.
package receiver

import (
	"math/rand/v2"
	"runtime"
	"time"

	"go.opentelemetry.io/collector/component"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/completion"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/demangle"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/pipeline"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/source"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/unwind"
)

// Settings are what a configuration comes down to, validated.
type Settings struct {
	SamplesPerSecond                                   int
	ReporterInterval, PollInterval, CompletionInterval time.Duration
	// ReporterJitter is the fraction by which windows are longer or shorter.
	ReporterJitter float64
	// CPUs are those that are sampled; none: all.
	CPUs []int
	// Filter says which processes are profiled.
	Filter Filter
	// Lottery says when the host is sampled.
	Lottery Lottery
	// Random draws from [0, 1), for any goroutine; nil: as it comes.
	Random func() float64
	// RingBufferSize is in bytes per CPU; 0 derives it.
	RingBufferSize int
	MaxProcesses   int
	MaxBatchBytes  int
	// RootPath is where the host's root directory is mounted.
	RootPath string
	// CommandArgs and Variables say what to tell of how processes were started:
	// their arguments, and environment variables by name.
	CommandArgs bool
	Variables   []string
	// ServiceVariables and ProcessContext say where processes are asked which service they
	// are part of: their environment, and what they publish.
	ServiceVariables, ProcessContext bool
	// Placement says where attributes are.
	Placement pipeline.Placement
	// DebugDirectories are where separate debug files are, below RootPath.
	DebugDirectories []string
	// Names say what is looked up here; the rest is left to a backend.
	Names Names
	// SymbolCacheSize bounds what is kept of executable files, in bytes.
	SymbolCacheSize int
	// Demangle says how names of C++ and Rust are shown.
	Demangle demangle.Mode
	// CompletionListeners are extensions that listen, Listeners are given by a
	// program that embeds the receiver.
	CompletionListeners []component.ID
	Listeners           []completion.Listener
}

// Names are kinds of code that are named.
type Names struct {
	// Native code by its symbols, and Inline by its debug information; Go code by its
	// line table; code that is made at run time (JIT) by its list.
	Kernel, Native, Inline, Go, JIT bool
}

// maxRejected bounds the processes of which the sampler knows that they are not to be
// profiled: 6 MB of its memory. Beyond that the pipeline drops what it sends.
const maxRejected = 65536

func (s Settings) source() source.Settings {
	out := source.Settings{
		SamplesPerSecond: s.SamplesPerSecond,
		PollInterval:     s.PollInterval,
		RingBufferSize:   s.RingBufferSize,
		CPUs:             s.CPUs,
		MinAge:           s.Filter.MinAge,
	}
	if len(s.Filter.Include)+len(s.Filter.Exclude) > 0 {
		out.MaxRejected = min(s.MaxProcesses, maxRejected)
	}
	return out
}

func (s Settings) random() float64 {
	if s.Random == nil {
		return rand.Float64()
	}
	return s.Random()
}

const (
	minHoldBytes = 4 << 20
	maxHoldBytes = 512 << 20
	// maxSampleBytes is a sample with stacks of full depth.
	maxSampleBytes = 2200
	// maxCopyBytes bounds the copies of stacks that wait for tables.
	maxCopyBytes = 16 << 20
	// shutdownTimeout bounds the last delivery, and the wait for a grace period.
	shutdownTimeout = 5 * time.Second
)

// holdBytes is room for twice the samples that arrive before a completion covers
// them, rate times lag, and for the copies of stacks among them.
func (s Settings) holdBytes() int {
	const barrier = 500 * time.Millisecond
	lag := s.CompletionInterval + s.PollInterval + barrier
	bytes := 2*s.SamplesPerSecond*maxSampleBytes + s.source().CopiesPerSecond()
	return int(min(max(float64(bytes*runtime.NumCPU())*lag.Seconds(), minHoldBytes), maxHoldBytes))
}

// Source is the kernel side. Barrier may be called beside the other methods,
// which are called from one goroutine at a time.
type Source interface {
	// Now reads the clock that stamps events.
	Now() event.KTime
	// Buffers is the number of buffers; Heads reads how far each was written.
	// UpdateCPUs adds buffers for CPUs that came online since the last call.
	Buffers() int
	UpdateCPUs() error
	Heads(heads []uint64)
	// Drain appends what a buffer holds up to the position limit to the batch. It
	// returns how far the buffer has been read and whether the batch is full and
	// there is more.
	Drain(buffer int, limit uint64, batch *event.Batch) (position uint64, more bool)
	// Barrier returns when every program that was running has ended.
	Barrier() error
	Counters() (source.Counters, error)
	Tasks() ([]event.Task, error)
	// Sample turns sampling on or off; everything else goes on.
	Sample(on bool) error
	// These may be called beside the other methods. Reject makes the sampler drop the
	// samples of a life, Readmit ends that. Place writes a table where the sampler
	// reads it, Publish makes it use placed tables for an image, Withdraw ends that, Drop is
	// told of pieces that no image that is published uses. Rule reads the rule at an offset
	// from the base of a placed piece.
	Reject(event.LifeID) error
	Readmit(event.LifeID) error
	Place(*unwind.Table) ([]unwind.Piece, error)
	Publish(unwind.Space) error
	Withdraw(unwind.Space) error
	Drop([]unwind.Piece)
	Rule(p unwind.Piece, offset uint32) unwind.Rule
	// Stop ends sampling, Close gives everything back. Both may be repeated.
	Stop() error
	Close() error
}

// OpenSource starts sampling.
type OpenSource func(source.Settings) (Source, error)
