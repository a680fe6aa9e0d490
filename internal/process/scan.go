// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"cmp"
	"slices"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// Task is a process that an iteration over all tasks found.
type Task = event.Task

// Scan enters what an iteration found that ran in [from, to]. Call it before the
// first Complete with w >= from: records from then on come on top. If it is too
// late for that, some of the tasks may have been evicted already: nothing is
// entered and the result is false.
func (t *Table) Scan(tasks []Task, from, to event.KTime) bool {
	if t.w >= from {
		return false
	}
	for i := range tasks {
		t.scan(&tasks[i], to)
	}
	return true
}

func (t *Table) scan(task *Task, to event.KTime) {
	in := t.instances[task.Proc]
	if in == nil {
		if in = t.create(task.Proc, to); in == nil {
			t.stats.Refused++
			return
		}
		in.unsure = t.forgot
	}
	t.see(task)
	l := in.life(task.Generation)
	if l == nil {
		if n := in.newest(); n != nil && n.Generation > task.Generation {
			return // it has been replaced since
		}
		l = t.insert(in, task.Generation, 0, to)
		l.fed = t.w
		l.Worker = task.Worker
	}
	if l.Comm == (event.Comm{}) {
		l.Comm = task.Comm
	}
	if l.Cgroup == (event.CgroupID{}) {
		l.Cgroup = task.Cgroup
	}
	t.want(in, l)
}

// see notes an exit that no record told of. Its PID may be given away from then
// on, and /proc's clock may not tell the next process from it.
func (t *Table) see(task *Task) {
	if task.Exiting && t.instances[task.Proc].exit == 0 {
		t.exit(task.Proc, anyTime)
	}
}

// Reconcile repairs what lost records did. The tasks come from an iteration that
// began after from and was over at the barrier at. An instance that was there
// before from and is not among them has ended: it counts as freed at at, so the
// completion that covers at evicts it. One that is found exiting has exited.
// Nothing else is touched.
func (t *Table) Reconcile(tasks []Task, from, at event.KTime) {
	t.epoch++
	found := make(map[event.ProcID]struct{}, len(t.ghosts))
	for i := range tasks {
		if in := t.instances[tasks[i].Proc]; in != nil {
			in.mark = t.epoch
			t.see(&tasks[i])
		} else {
			found[tasks[i].Proc] = struct{}{}
		}
	}
	var ended []event.ProcID
	for p, x := range t.ghosts {
		if _, ok := found[p]; !ok && x < from {
			ended = append(ended, p)
		}
	}
	for p, in := range t.instances {
		if in.mark != t.epoch && in.free == 0 && in.born < from {
			ended = append(ended, p)
			if in.exit == 0 || in.in == &t.zombies {
				t.stats.Reconciled++ // others may be on their way
			}
		}
	}
	slices.SortFunc(ended, func(a, b event.ProcID) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.PID, b.PID))
	})
	for _, p := range ended {
		t.free(p, at)
	}
}
