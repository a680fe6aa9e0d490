// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"path"
	"slices"
	"strings"
	"time"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/process"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/threadlocal"
)

// ThreadContextRequest asks where the threads of a process have their context, which the
// dynamic linker wrote into its memory.
type ThreadContextRequest struct {
	PID      uint32
	Variable threadlocal.Variable
	// Bias is how far from the file's own addresses it is loaded, modulo 2^64.
	Bias uint64
	// Musl is the C library, else it is glibc.
	Musl bool

	life *process.Life
}

// ThreadContextAnswer is what became of a request.
type ThreadContextAnswer struct {
	ThreadContextRequest
	// To is after the read, StartTick is the start of who was read in ticks of 10 ms, as in
	// process.Answer.
	To        event.KTime
	StartTick uint64
	// Place is zero if it could not be found, or not yet.
	Place threadlocal.Place
}

const (
	// maxThreadContextRequests bounds the requests that wait. What finds no room is asked for a
	// moment later.
	maxThreadContextRequests = 1024
	// maxThreadContextTries bounds how often a place is asked for that is not there yet, with twice
	// the time between any two.
	maxThreadContextTries = 8
	firstThreadContextTry = event.KTime(100 * time.Millisecond)
)

// threadContexts knows where the threads of processes publish what they work for.
type threadContexts struct {
	known map[*process.Life]*threadContext
	queue []ThreadContextRequest
	// answers wait for the completion that covers them.
	answers []ThreadContextAnswer
	now     event.KTime
	counts  [event.Contexts]uint64
	// unresolved counts the processes whose places could not be found.
	unresolved uint64
}

// threadContext is what is known of the variable of a process.
type threadContext struct {
	variable threadlocal.Variable
	bias     uint64
	musl     bool
	place    threadlocal.Place
	// version is of the memory that was asked about: what is loaded later may change more.
	version uint64
	asked   bool // and not answered
	tries   int
	counted bool        // as unresolved
	next    event.KTime // when to ask again; zero: not at all
}

func newThreadContexts() threadContexts {
	return threadContexts{known: map[*process.Life]*threadContext{}}
}

// found is a variable of a file that a process has mapped.
type found struct {
	variable threadlocal.Variable
	bias     uint64
}

// place returns where the threads of a life have their context, as far as that is known,
// and asks for it. Of several variables the program's own counts, as it does for the
// dynamic linker, else the first.
func (c *threadContexts) place(life *process.Life, all []found) threadlocal.Place {
	if len(all) == 0 {
		delete(c.known, life)
		return threadlocal.Place{}
	}
	f := all[0]
	if i := slices.IndexFunc(all, func(f found) bool { return f.variable.Fixed() }); i >= 0 {
		f = all[i]
	}
	if f.variable.Fixed() {
		place, _ := f.variable.Locate(f.bias, false, nil)
		return place
	}
	k := c.known[life]
	if k == nil || k.variable != f.variable || k.bias != f.bias {
		k = &threadContext{variable: f.variable, bias: f.bias, musl: hasMusl(life)}
		c.known[life] = k
	}
	if v := life.Version(); k.version != v {
		k.version, k.tries = v, 0
		c.ask(life, k)
	}
	return k.place
}

// hasMusl reports whether the C library of a life is musl: its name is that of the dynamic
// linker.
func hasMusl(life *process.Life) bool {
	for m := range life.Mappings {
		if name := path.Base(m.Path); strings.HasPrefix(name, "ld-musl-") || strings.HasPrefix(name, "libc.musl-") {
			return true
		}
	}
	return false
}

func (c *threadContexts) ask(life *process.Life, k *threadContext) {
	k.next = 0
	if k.asked || len(c.queue) >= maxThreadContextRequests {
		k.next = c.now + firstThreadContextTry
		return
	}
	k.asked = true
	c.queue = append(c.queue, ThreadContextRequest{life.Proc.PID, k.variable, k.bias, k.musl, life})
}

func (c *threadContexts) requests(n int) []ThreadContextRequest {
	n = min(n, len(c.queue))
	out := c.queue[:n:n]
	c.queue = c.queue[n:]
	return out
}

// complete takes over the answers that w covers and that are of the life asked for: like
// any read of /proc, one may be of the next process with the PID. It yields the lives
// whose place is another now.
func (c *threadContexts) complete(w event.KTime, changed func(*process.Life)) {
	c.now = w
	c.answers = slices.DeleteFunc(c.answers, func(a ThreadContextAnswer) bool {
		if a.To > w {
			return false
		}
		if c.settle(&a) {
			changed(a.life)
		}
		return true
	})
	for life, k := range c.known {
		if k.next != 0 && k.next <= w {
			c.ask(life, k)
		}
	}
}

// settle reports whether the place is another now.
func (c *threadContexts) settle(a *ThreadContextAnswer) bool {
	k := c.known[a.life]
	if k == nil || k.variable != a.Variable || k.bias != a.Bias {
		return false // it was forgotten, or other files are mapped by now
	}
	k.asked = false
	if !a.life.Ran(a.To) || !a.life.Started(a.StartTick) {
		return false
	}
	if !a.Place.Known() {
		if k.tries++; k.tries < maxThreadContextTries {
			k.next = c.now + firstThreadContextTry<<k.tries
		} else if !k.counted {
			k.counted = true
			c.unresolved++
		}
	}
	before := k.place
	k.place = a.Place
	return k.place != before
}

// forget drops lives that are over.
func (c *threadContexts) forget(lives []*process.Life) {
	for _, life := range lives {
		delete(c.known, life)
	}
}

// ThreadContexts counts what threads told of the spans that they work for.
type ThreadContexts struct {
	// Linked are samples with a link, Unreadable those whose thread's context could not be
	// read. Unresolved are processes of which nobody knows where their threads have it.
	Linked, Unreadable, Unresolved uint64
}

func (c *threadContexts) stats() ThreadContexts {
	return ThreadContexts{c.counts[event.ContextLinked], c.counts[event.ContextUnreadable], c.unresolved}
}
