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
	// w is the newest completion, settled the one before: every sample up to it has
	// been attributed.
	w, settled event.KTime
	// doubted is when records of mappings were last found missing.
	doubted event.KTime

	instances map[event.ProcID]*instance
	pids      map[uint32]pid
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

	records waiting[event.Lifecycle]
	mapped  waiting[event.Mapped]
	answers waiting[Answer]
	// requests is a queue, drained is what Requests returned last.
	requests, drained []Request
	// eviction fills until Evict returns it, handed is what it returned last.
	eviction, handed Eviction
	overflow         Life
	// versions is the newest of a memory.
	versions uint64
	epoch    uint64
}

// pid has how many instances of it there are and who has it now, as far as records
// were applied.
type pid struct {
	instances int
	owner     *instance
}

// New returns an empty table.
func New(s Settings) *Table {
	return &Table{
		settings:  s.orDefaults(),
		instances: map[event.ProcID]*instance{},
		pids:      map[uint32]pid{},
		ghosts:    map[event.ProcID]event.KTime{},
		records:   newRecords(),
		mapped:    newMapped(),
		answers:   newAnswers(),
	}
}

// Observe takes lifecycle records, in any order and ahead of W; they wait until
// a completion covers them.
func (t *Table) Observe(rs []event.Lifecycle) {
	room := t.settings.MaxRecords - len(t.records.all)
	if len(rs) > room {
		t.stats.RecordsDropped += uint64(len(rs) - room)
		rs = rs[:room]
	}
	t.records.all = append(t.records.all, rs...)
}

// Answer takes the answer to a request. It waits until a completion covers it.
func (t *Table) Answer(a Answer) { t.answers.all = append(t.answers.all, a) }

// Complete applies what is known up to w: records in the order of their stamps, and
// each answer when the table stands at the end of its read.
func (t *Table) Complete(w event.KTime) {
	t.settled, t.w = t.w, max(t.w, w)
	rs, ms, as := t.records.take(t.w), t.mapped.take(t.w), t.answers.take(t.w)
	for len(rs)+len(ms)+len(as) > 0 {
		r, m, a := t.records.next(rs), t.mapped.next(ms), t.answers.next(as)
		switch min(r, m, a) {
		case r:
			t.apply(&rs[0])
			rs = rs[1:]
		case m:
			t.place(&ms[0])
			ms = ms[1:]
		default:
			t.decide(&as[0])
			as = as[1:]
		}
	}
	t.records.drop()
	t.mapped.drop()
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
		l.fed = t.w
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
	if l.memory != nil && !l.memory.shared {
		l.memory.forget(t.settled)
	}
	return l
}
