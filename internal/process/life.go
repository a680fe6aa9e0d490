// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"math"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// forever is the until of a life that owns its sight.
const forever = event.KTime(math.MaxUint64)

// Life is one generation of one instance. The pointer is stable: callers may
// key what they know about it by *Life until Evict hands it back.
type Life struct {
	Proc       event.ProcID
	Generation event.Generation
	// Comm is the name of the thread group leader; zero: not known.
	Comm event.Comm
	// Worker is set for tasks that never run user code.
	Worker bool
	// Cgroup is where it was when it was forked, executed or first listed.
	Cgroup event.CgroupID
	// Parent is zero if not known.
	Parent event.ProcID

	// owner is nil for the shared life of the refused.
	owner *instance
	// This generation began at some time in [lo, hi]; they are equal when the
	// record that says so is known. Lives of an instance ascend in hi.
	lo, hi event.KTime
	// stray: made for a sample although a newer generation was known already. It
	// asks for nothing and takes no image.
	stray bool

	// sight is shared with the forks of this life until either has its own.
	// Exited ones that linger have one of their own, without mappings, or nil.
	sight *sight
	// memory is what it has mapped; nil: nothing is known.
	memory *memory
	// fed is from when on it had the records of its mappings; earlier ones found
	// nobody.
	fed event.KTime
	// until is when this life parted from the owner of the sight: what was seen
	// later is not its own. forever: it is the owner.
	until event.KTime
}

// sight is what a /proc read that took place in [from, to] saw. Filled at most
// once, by its owner.
type sight struct {
	image    *Image
	from, to event.KTime
}

// Image is what this life executes: its own, else its parent's as of the fork.
// Nil: not known.
func (l *Life) Image() *Image {
	if l.sight == nil || l.sight.image == nil || l.sight.to > l.until {
		return nil
	}
	return l.sight.image
}

// Executable is the path of what this life executes, or "". It is known more often
// than Image: the first mapping of an image tells, and a fork executes the file of
// its parent, also when the parent was read only after the fork. What the mapping tells
// goes first: below a changed root /proc shows another path, that from outside.
func (l *Life) Executable() string {
	if l.memory != nil && l.memory.executable != "" {
		return l.memory.executable
	}
	if l.sight != nil && l.sight.image != nil {
		return l.sight.image.Executable
	}
	return ""
}

// Ran reports whether this life ran at k, a moment that a completion covers: it had
// not exited, nor had a later generation begun.
func (l *Life) Ran(k event.KTime) bool {
	in := l.owner
	if in == nil || in.unsure || in.exit != 0 && in.exit <= k {
		return false
	}
	n := in.newest()
	return n == l || n != nil && n.Generation > l.Generation && k < n.lo
}

// Started reports whether a start in ticks, as /proc shows it, is that of its process.
func (l *Life) Started(startTick uint64) bool { return startTick == uint64(l.Proc.Start)/tick }

// Since is when this generation began, at the earliest.
func (l *Life) Since() event.KTime { return l.lo }

// Current reports whether it is what its process runs: it is not on its way out, and
// no later generation is known.
func (l *Life) Current() bool { return l.owner != nil && l.owner.exit == 0 && l.owner.newest() == l }

// Version changes whenever what is known of the memory does; 0: nothing is known.
func (l *Life) Version() uint64 {
	if l.memory == nil {
		return 0
	}
	return l.memory.version
}

// Mappings yields what is mapped executable now, ascending.
func (l *Life) Mappings(yield func(*event.Mapping) bool) {
	if l.memory == nil {
		return
	}
	for _, r := range l.memory.regions {
		if !yield(&r.Mapping) {
			return
		}
	}
}

// Memory is what is known of the memory of a life. It goes on with the life, unless it
// is kept.
type Memory struct{ memory *memory }

// Memory returns what is known now.
func (l *Life) Memory() Memory { return Memory{l.memory} }

// Known reports whether anything is.
func (m Memory) Known() bool { return m.memory != nil && m.memory.version != 0 }

// Find returns what was mapped executable at addr at time k, which is after the last
// completion but one, as seen from now or from when it was kept; nil: nothing, or not
// known.
func (m Memory) Find(addr uint64, k event.KTime) *event.Mapping { return m.memory.find(addr, k) }

// ReplacedSince reports whether what was mapped at addr at time k is other code than what
// was there before, after the last completion but one. It lies on the safe side: what is
// forgotten was other code.
func (m Memory) ReplacedSince(before event.KTime, addr uint64, k event.KTime) bool {
	return m.memory.replaced(addr, k, before)
}

// Newest is when the newest region was mapped.
func (m Memory) Newest() event.KTime {
	if m.memory == nil {
		return 0
	}
	return m.memory.newest
}

// Keep returns the memory as it is now: it does not change any more.
func (m Memory) Keep() Memory {
	if m.memory != nil {
		m.memory.shared = true
	}
	return m
}

// see gives the life an image of its own, and reports whether it is the first.
func (l *Life) see(image *Image, from, to event.KTime) (first bool) {
	own := l.until == forever
	switch s := l.sight; {
	case s == nil:
		return false // it lingers and has given up its image
	case own && s.image == nil:
		s.image, s.from, s.to = image, from, to // the forks that wait for it see it too
		return true
	case own && s.to >= to:
		return false // what is known is newer
	}
	l.sight, l.until = &sight{image, from, to}, forever
	return !own
}

// forgetMappings keeps what names the life and drops what is heavy.
func (l *Life) forgetMappings() {
	image := l.Image()
	l.sight = nil
	if image != nil {
		l.sight = &sight{image: image}
	}
	if l.memory != nil {
		l.memory = &memory{executable: l.memory.executable}
	}
}

// share makes a fork at k see what its parent sees.
func (l *Life) share(parent *Life, k event.KTime) {
	if parent.sight == nil || l.sight == nil || l.sight.image != nil {
		return
	}
	l.sight, l.until = parent.sight, min(k, parent.until)
}

// exact notes the record that began this generation.
func (l *Life) exact(k event.KTime, comm event.Comm) {
	l.lo, l.hi = k, k
	if comm != (event.Comm{}) {
		l.Comm = comm
	}
}
