// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Package process knows who a sample belongs to and what was mapped then. It is
// pure: time comes in as completions, /proc as answers to its requests.
//
// One round, with W the completion's Until:
//
//	Observe and Expect as records arrive, Answer as reads end, Requests
//	Complete(W)
//	Attribute each sample with KTime <= W
//	Evict(W)
package process

import "github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"

// Table holds the process instances of a host. It is used by one goroutine.
type Table struct {
	settings Settings
	stats    Stats
	// w is the newest completion.
	w event.KTime

	instances map[event.ProcID]*instance
	// pids counts the instances of each PID.
	pids map[uint32]int
	// ghosts are the exits of instances that are not in the table. A sample may
	// bring such an instance back, and then /proc must not be believed.
	ghosts map[event.ProcID]event.KTime
	// forgot: an exit found no room among the ghosts.
	forgot bool
	// skipped is the stamp of the newest exec of an instance without room.
	skipped event.KTime

	// exiting and zombies are queues by exit, dead are those with a free stamp;
	// an instance is in one of the three or alive.
	exiting, zombies queue
	dead             []*instance
	// swept is when zombies were last looked for.
	swept event.KTime
	// several lists the instances with more than one life.
	several []*instance

	records records
	answers answers
	// requests is a queue, drained is what Requests returned last.
	requests, drained []Request
	// eviction fills until Evict returns it, handed is what it returned last.
	eviction, handed Eviction
	overflow         Life
	epoch            uint64
}

// New returns an empty table.
func New(s Settings) *Table {
	return &Table{
		settings:  s.orDefaults(),
		instances: map[event.ProcID]*instance{},
		pids:      map[uint32]int{},
		ghosts:    map[event.ProcID]event.KTime{},
	}
}

// Observe takes lifecycle records, in any order and ahead of W; they wait until
// a completion covers them.
func (t *Table) Observe(rs []event.Lifecycle) {
	room := t.settings.MaxRecords - len(t.records.waiting)
	if len(rs) > room {
		t.stats.RecordsDropped += uint64(len(rs) - room)
		rs = rs[:room]
	}
	t.records.waiting = append(t.records.waiting, rs...)
}

// Answer takes the answer to a request. It waits until a completion covers it.
func (t *Table) Answer(a Answer) { t.answers.waiting = append(t.answers.waiting, a) }

// Complete applies what is known up to w: lifecycle records in the order of
// their stamps, and each answer when the table stands at the end of its read.
func (t *Table) Complete(w event.KTime) {
	t.w = max(t.w, w)
	rs, as := t.records.take(t.w), t.answers.take(t.w)
	for len(rs)+len(as) > 0 {
		if len(as) == 0 || len(rs) > 0 && rs[0].KTime <= as[0].To {
			t.apply(&rs[0])
			rs = rs[1:]
			continue
		}
		t.decide(&as[0])
		as = as[1:]
	}
	t.records.drop()
	t.answers.drop()
}

// Attribute returns the life that a sample belongs to, once Complete has covered
// it. A sample proves its own life: an unknown one is made. Never nil: what
// exceeds MaxProcesses shares one life without identity.
func (t *Table) Attribute(s *event.Sample) *Life {
	in := t.instances[s.Proc]
	if in == nil {
		if in = t.create(s.Proc, s.KTime); in == nil {
			t.stats.Overflowed++
			return &t.overflow
		}
		in.unsure = true
	}
	if in.unsure && s.KTime > t.skipped+settle {
		in.unsure = t.forgot
	}
	l := in.life(s.Generation)
	if l == nil {
		if len(in.lives) == 0 {
			t.stats.Unannounced++
		}
		l = t.insert(in, s.Generation, 0, s.KTime)
	} else if s.KTime < l.hi {
		l.hi = max(l.lo, s.KTime) // it had begun by then
	}
	if s.TID == s.Proc.PID {
		if l.Comm == (event.Comm{}) {
			l.Comm = s.Comm
		}
		l.Worker = l.Worker || s.Worker
	}
	if s.UserStack != event.UserExit {
		t.want(in, l)
	}
	return l
}
