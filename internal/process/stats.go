// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package process

// Stats are counts since the start, except for the first three.
type Stats struct {
	// Live, Exiting and Zombie are the instances in the table now. A zombie
	// exited more than ten seconds ago and is not freed yet.
	Live, Exiting, Zombie int

	// Evictions are instances that went because they were freed.
	Evictions uint64
	// Forced are exited instances that went early to make room.
	Forced uint64
	// Superseded are generations that went because of a later exec.
	Superseded uint64
	// Reconciled are instances whose end was missed and found by Reconcile.
	Reconciled uint64
	// PIDReuses counts instances that appeared while an older one with the same
	// PID was still in the table.
	PIDReuses uint64
	// Refused are forks and scanned tasks that found no room; Overflowed are the
	// samples that share one life for that reason.
	Refused, Overflowed uint64

	// Overdue are instances that had exited ten seconds before and were not freed:
	// nobody reaps them, or no record told. They call for a reconciliation.
	Overdue uint64

	// Unannounced are instances that a sample told of and no record: one was missed,
	// or a reconciliation gave up a process that was still in its exit. No other
	// record may come, so they call for a reconciliation.
	Unannounced uint64

	// RecordsDropped are lifecycle records beyond MaxRecords: a loss that calls
	// for a reconciliation. RequestsDropped are asked for again by later samples.
	RecordsDropped, RequestsDropped uint64
	// MappedDropped are records of mappings beyond MaxRecords, which leads to reads
	// of /proc. MappedRefused are mappings for which a process had no room left.
	// MappedOfNobody are those of no process that is known.
	MappedDropped, MappedRefused, MappedOfNobody uint64
	Answers                                      Outcomes
	// VariablesMalformed are the environment variables about their service that processes
	// had, and of which nothing was taken.
	VariablesMalformed uint64
}

// Outcomes counts the answers of /proc by what became of them.
type Outcomes struct {
	Accepted uint64
	// RefusedTick: another process had the PID. RefusedExit: the process had
	// exited before the read was over. RefusedExec: it is not certain which
	// generation was read.
	RefusedTick, RefusedExit, RefusedExec uint64
	// Gone: /proc had no such process. Failed: it could not be read.
	Gone, Failed uint64
	// Unknown: the instance had left the table.
	Unknown uint64
}

// Stats returns the counts.
func (t *Table) Stats() Stats {
	s := t.stats
	s.Zombie = t.zombies.n
	s.Exiting = t.exiting.n + len(t.dead)
	s.Live = len(t.instances) - s.Exiting - s.Zombie
	return s
}
