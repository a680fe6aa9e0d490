// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import "time"

// figures are what one run cost.
type figures struct {
	forks, cpuPercent, microsPerSample, bpfMicrosPerSample float64
	rssMB, anonMB, mapsMB, startSeconds, startCPU          float64
	lagMillis, late, lost                                  float64
}

func compare(c *collector, before, after reading, d time.Duration) figures {
	cpu := (after.cpu - before.cpu).Seconds()
	bpf := (after.bpf - before.bpf).Seconds()
	samples := after.metrics["samples_taken"] - before.metrics["samples_taken"] -
		after.metrics["samples_filtered"] + before.metrics["samples_filtered"]
	return figures{
		forks:              (after.forks - before.forks) / d.Seconds(),
		cpuPercent:         100 * cpu / d.Seconds(),
		microsPerSample:    1e6 * cpu / samples,
		bpfMicrosPerSample: 1e6 * bpf / samples,
		rssMB:              after.rssBytes / 1e6,
		anonMB:             after.anonBytes / 1e6,
		mapsMB:             after.mapBytes / 1e6,
		startSeconds:       c.startSeconds,
		startCPU:           before.cpu.Seconds(),
		late:               after.metrics["late_records"],
		lost:               after.lost() - before.lost(),
	}
}

// lost is how many records of any kind did not arrive.
func (r reading) lost() float64 {
	return r.metrics["samples_lost"] + r.metrics["lifecycle_lost"] + r.metrics["mappings_lost"]
}
