// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/unwind"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/watermark"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/test/workloads"
)

// execSettles is how long after the stamp of an exec the generation may still be
// the old one. An emulated CPU may stand still in between, see test/vm.
func execSettles() event.KTime {
	if os.Getenv("VM_GUEST") != "" {
		return 200_000_000
	}
	return 10_000_000
}

// history keeps everything that the kernel told, to hold each sample against it.
type history struct {
	lives map[event.ProcID]*lifetime
	// listed is when the tasks had been: who began before and is not among them
	// has ended, and may have begun before the programs were attached.
	listed event.BootTime
	// until is the same moment.
	until   event.KTime
	samples []event.Sample
}

// lifetime is what the lifecycle records say of one instance.
type lifetime struct {
	scanned       bool
	forked        event.KTime
	images        []image // by generation
	exited, freed event.KTime
	exits, frees  int
}

// image is a generation: when it began and under which name.
type image struct {
	generation event.Generation
	began      event.KTime
	comm       event.Comm
	slots      map[string]int
}

func newHistory(tasks []event.Task, until event.KTime) *history {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &now) // the clock and the pointer are valid
	h := &history{lives: map[event.ProcID]*lifetime{}, listed: event.BootTime(now.Nano()), until: until}
	for _, t := range tasks {
		l := h.life(t.Proc)
		l.scanned = true
		l.begin(t.Generation, 0, t.Comm)
	}
	return h
}

func (h *history) life(p event.ProcID) *lifetime {
	l := h.lives[p]
	if l == nil {
		l = &lifetime{}
		h.lives[p] = l
	}
	return l
}

func (l *lifetime) begin(g event.Generation, k event.KTime, comm event.Comm) {
	if i := slices.IndexFunc(l.images, func(im image) bool { return im.generation == g }); i >= 0 {
		if k > 0 {
			l.images[i].began, l.images[i].comm = k, comm
		}
		return
	}
	l.images = append(l.images, image{g, k, comm, map[string]int{}})
	slices.SortFunc(l.images, func(a, b image) int { return cmp.Compare(a.generation, b.generation) })
}

// add takes a batch; the memory of its stacks must stay.
func (h *history) add(b *event.Batch) {
	h.samples = append(h.samples, b.Samples...)
	for _, r := range b.Lifecycle {
		l := h.life(r.Proc)
		switch r.Kind {
		case event.Fork:
			l.forked = r.KTime
			l.begin(r.Generation, r.KTime, r.Comm)
		case event.Exec:
			l.begin(r.Generation, r.KTime, r.Comm)
		case event.Exit:
			l.exits++
			if l.exited == 0 || r.KTime < l.exited {
				l.exited = r.KTime
			}
		case event.Free:
			l.frees++
			l.freed = r.KTime
		}
	}
}

// wrong returns what is wrong about a sample by all that is known, or nothing.
func (h *history) wrong(s *event.Sample, lives *workloads.Lives) string {
	l, ok := h.lives[s.Proc]
	if !ok {
		return fmt.Sprintf("instance %v was never born", s.Proc)
	}
	if h.unlisted(s.Proc) && l.exits > 0 && l.exited < h.until {
		return "" // its end is all that was told of it
	}
	if s.KTime+watermark.Guard < l.forked {
		return fmt.Sprintf("%d ns before its birth", l.forked-s.KTime)
	}
	if l.freed != 0 && s.KTime > l.freed {
		return fmt.Sprintf("%d ns after it was freed", s.KTime-l.freed)
	}
	i := slices.IndexFunc(l.images, func(im image) bool { return im.generation == s.Generation })
	if i < 0 {
		return fmt.Sprintf("generation %d was never begun, of %v", s.Generation, l.images)
	}
	if s.KTime+watermark.Guard < l.images[i].began {
		return fmt.Sprintf("%d ns before generation %d", l.images[i].began-s.KTime, s.Generation)
	}
	if i+1 < len(l.images) && s.KTime > l.images[i+1].began+execSettles() {
		return fmt.Sprintf("%d ns after the end of generation %d", s.KTime-l.images[i+1].began, s.Generation)
	}
	return l.images[i].misplaced(s, lives)
}

// unlisted reports whether a process began before the tasks had been listed, and nothing told
// of it then.
func (h *history) unlisted(p event.ProcID) bool {
	return !h.lives[p].scanned && h.lives[p].forked == 0 && p.Start < h.listed
}

// misplaced holds the code that the sample hit against the name of its program.
func (im *image) misplaced(s *event.Sample, lives *workloads.Lives) string {
	frames := framesOf(s)
	for _, address := range frames {
		slot := lives.Slot(address)
		if slot == "" {
			continue
		}
		im.slots[slot]++
		if program := workloads.ProgramOf(slot); program != im.comm.String() {
			return fmt.Sprintf("in %s of a process that is %s: %x", slot, im.comm, frames)
		}
		if len(im.slots) > 1 {
			return fmt.Sprintf("in %v: a life has one slot", slices.Sorted(maps.Keys(im.slots)))
		}
		return ""
	}
	return ""
}

// framesOf follows the frame pointers of a stack that was copied.
func framesOf(s *event.Sample) []uint64 {
	if s.UserStack != event.UserCopied {
		return s.User
	}
	stack, _ := unwind.CopyOf(s.User)
	frames, _ := stack.Walk(unwind.Native(), func(uint64) (unwind.Rule, unwind.Code) { return unwind.NoInfo, unwind.CodeBare }, nil)
	return frames
}

// unbalanced returns the instances whose birth and end do not fit, those that were
// alive at a moment being known, and counts those that ended and were not freed.
func (h *history) unbalanced(alive []event.Task, at event.KTime) (out []string, unfreed int) {
	running := map[event.ProcID]bool{}
	for _, t := range alive {
		running[t.Proc] = true
	}
	for p, l := range h.lives {
		switch {
		case h.unlisted(p):
			// It is of no interest.
		case !l.scanned && l.forked == 0:
			out = append(out, fmt.Sprintf("%v was not born: %+v", p, *l))
		case running[p] && l.frees > 0 && l.freed < at:
			out = append(out, fmt.Sprintf("%v was freed and is there", p))
		case l.forked > at:
			// It may still be running.
		case !running[p] && l.frees == 0:
			unfreed++
		case !running[p] && (l.exits == 0 && !l.scanned || l.frees > 1):
			out = append(out, fmt.Sprintf("%v has ended with %d exits and %d frees", p, l.exits, l.frees))
		case l.freed != 0 && l.freed < l.exited:
			out = append(out, fmt.Sprintf("%v was freed before its exit", p))
		}
	}
	return out, unfreed
}

// inSlots counts the samples whose place in the workload is known, and the lives
// they belong to.
func (h *history) inSlots() (samples, lives int) {
	for _, l := range h.lives {
		for _, im := range l.images {
			for _, n := range im.slots {
				samples += n
				lives++
			}
		}
	}
	return samples, lives
}
