// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// driver feeds a table from a simulated host, bound only by the watermark
// contract, and compares with the truth.
type driver struct {
	*host
	t       *rapid.T
	table   *Table
	w       event.KTime
	reads   []*read
	held    []event.Sample
	evicted map[*Life]bool
	// over are the lives that were evicted, by identity.
	over map[lifeKey]event.KTime
	// exactImages: no record was lost that images depend on.
	exactImages bool
	limited     bool
	// listed waits to be reconciled with.
	listed   []Task
	listedAt event.KTime
	images   int
	// found and missed count hits whose memory the table could tell, and could not.
	found, missed int
	// losing: records of mappings are lost.
	losing bool
}

func newDriver(t *rapid.T, s Settings) *driver {
	seed := rapid.Uint64().Draw(t, "seed")
	pids := rapid.IntRange(1, 5).Draw(t, "pids")
	return &driver{host: newHost(seed, pids), t: t, table: New(s), evicted: map[*Life]bool{},
		over: map[lifeKey]event.KTime{}, exactImages: true}
}

// step lets one thing happen on the host or in the profiler.
func (d *driver) step() {
	d.pass()
	p := d.any()
	switch d.rnd.IntN(19) {
	case 0, 1:
		d.fork()
	case 2:
		if p != nil {
			d.exec(p)
		}
	case 3:
		if p != nil {
			d.end(p)
		}
	case 4:
		d.free()
	case 5, 6, 7:
		d.sample(p)
	case 8:
		if p != nil && !p.exiting && !p.inExec {
			p.version = d.newVersion() // maps a library
			d.know(p)
		}
	case 16, 17, 18:
		if p != nil && !p.exiting && !p.inExec {
			d.remap(p)
		}
	case 9:
		d.deliver(0)
	case 10:
		if d.chance(2) {
			d.complete()
		}
	default:
		d.procfs()
	}
}

func (d *driver) remap(p *proc) {
	switch d.rnd.IntN(8) {
	case 0:
		d.munmap(p)
	case 1:
		d.mremap(p)
	default:
		d.mmap(p)
	}
}

// procfs moves reads on, and starts new ones.
func (d *driver) procfs() {
	if d.chance(2) {
		for _, r := range d.table.Requests(1 + d.rnd.IntN(3)) {
			d.reads = append(d.reads, d.open(r))
		}
	}
	kept := d.reads[:0]
	for _, r := range d.reads {
		if r.To == 0 {
			d.look(r)
		}
		if r.To != 0 && d.chance(2) {
			d.table.Answer(r.Answer)
			continue
		}
		kept = append(kept, r)
	}
	d.reads = kept
}

// reconcile lists the tasks, and hands the list over after more has happened.
func (d *driver) reconcile() {
	if d.listed == nil {
		d.pass()
		d.listed, d.listedAt = d.list(), d.now
		return
	}
	d.pass()
	d.table.Reconcile(d.listed, d.listedAt, d.now)
	d.listed = nil
}

// deliver hands over everything up to w and some of the rest, in any order.
func (d *driver) deliver(w event.KTime) {
	d.rnd.Shuffle(len(d.records), func(i, j int) { d.records[i], d.records[j] = d.records[j], d.records[i] })
	d.rnd.Shuffle(len(d.samples), func(i, j int) { d.samples[i], d.samples[j] = d.samples[j], d.samples[i] })
	late := d.records[:0]
	var batch []event.Lifecycle
	for _, r := range d.records {
		if r.KTime <= w || d.chance(2) {
			batch = append(batch, r)
		} else {
			late = append(late, r)
		}
	}
	d.records = late
	d.table.Observe(batch)
	d.deliverMapped(w)
	waiting := d.samples[:0]
	for _, s := range d.samples {
		if s.KTime > w && d.chance(2) {
			waiting = append(waiting, s)
			continue
		}
		if !d.chance(5) { // the hint may be left out
			d.table.Expect(&s)
		}
		d.held = append(d.held, s)
	}
	d.samples = waiting
}

func (d *driver) deliverMapped(w event.KTime) {
	d.rnd.Shuffle(len(d.mapped), func(i, j int) { d.mapped[i], d.mapped[j] = d.mapped[j], d.mapped[i] })
	late := d.mapped[:0]
	var batch []event.Mapped
	for _, m := range d.mapped {
		if m.KTime <= w || d.chance(2) {
			batch = append(batch, m)
		} else {
			late = append(late, m)
		}
	}
	d.mapped = late
	d.table.ObserveMapped(batch)
	if d.losing {
		d.table.Doubt(d.now)
	}
}

// complete runs one round at a watermark between the last one and now.
func (d *driver) complete() {
	if d.now-1 > d.w {
		d.w += event.KTime(d.rnd.Uint64N(uint64(d.now - 1 - d.w + 1)))
	}
	d.round()
}

func (d *driver) round() {
	d.deliver(d.w)
	d.table.Complete(d.w)
	held := d.held[:0]
	for i := range d.held {
		if s := &d.held[i]; s.KTime <= d.w {
			d.attribute(s)
		} else {
			held = append(held, *s)
		}
	}
	d.held = held
	ev := d.table.Evict(d.w)
	for _, l := range ev.Gone {
		require.False(d.t, d.evicted[l], "evicted twice")
		d.evicted[l] = true
		d.over[lifeKey{l.Proc, l.Generation}] = d.w
	}
}

func (d *driver) attribute(s *event.Sample) {
	l := d.table.Attribute(s)
	require.NotNil(d.t, l)
	if d.limited && l.Proc == (event.ProcID{}) {
		return
	}
	require.Equal(d.t, s.Proc, l.Proc)
	require.Equal(d.t, s.Generation, l.Generation)
	key := lifeKey{l.Proc, l.Generation}
	truth := d.truth[key]
	if !d.limited {
		require.False(d.t, d.evicted[l])
		if truth.stamped == 0 || s.KTime <= truth.stamped+settle {
			_, over := d.over[key]
			require.False(d.t, over, "%v was evicted before its last sample at %d", key, s.KTime)
		}
	}
	if _, again := d.over[key]; d.exactImages && !d.limited && !again {
		require.Equal(d.t, truth.comm, l.Comm)
		require.Equal(d.t, truth.parent, l.Parent)
	}
	if im := l.Image(); im != nil && d.exactImages {
		d.images++
		ok := truth.versions[im.Executable] && truth.versions[im.ContainerID]
		require.True(d.t, ok, "%v shows the image of another: %v", key, im)
	}
	if len(s.User) > 0 {
		d.locate(l, s)
	}
}

// locate holds what the table says of where a sample hit against what was there.
func (d *driver) locate(l *Life, s *event.Sample) {
	hit := d.hits[hitKey{s.Proc, s.KTime}]
	got, ok := finds(l, s)
	switch {
	case !ok:
		d.missed++
		d.table.Missed(l, s)
		known := !d.losing && !d.limited && d.truth[lifeKey{s.Proc, s.Generation}].recorded
		require.False(d.t, known && hit.slot < slots, "%v at %d lies in nothing", hit, s.KTime)
	case d.losing:
		d.found++
		if d.exactImages {
			require.True(d.t, d.truth[lifeKey{s.Proc, s.Generation}].held[got], "%v was never there", got)
		}
	case d.exactImages:
		d.found++
		require.Equal(d.t, hit, got)
	}
}

// finish ends every process and lets the last completion pass.
func (d *driver) finish() {
	for _, p := range d.pids {
		for p != nil && d.pids[p.id.PID-1] == p {
			d.pass()
			if p.inExec {
				d.exec(p)
			} else {
				d.end(p)
			}
		}
	}
	for len(d.undead) > 0 {
		d.pass()
		d.free()
	}
	d.w = d.now
	d.round()
}

func (d *driver) requireEmpty() {
	t := d.table
	require.Empty(d.t, t.instances)
	require.Empty(d.t, t.pids)
	require.Empty(d.t, t.ghosts)
	require.Empty(d.t, t.dead)
	require.Empty(d.t, t.several)
	require.Empty(d.t, t.records.all)
	require.Empty(d.t, t.mapped.all)
	s := t.Stats()
	require.Zero(d.t, s.Live+s.Exiting+s.Zombie)
}
