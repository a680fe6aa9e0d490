// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// perf is perf record, of one process each time: of the whole host it falls over odd
// build IDs of other programs (perf 6.1, util/build-id.c).
type perf struct {
	mode   string
	hz     int
	folder string
	data   []string
}

// startPerf profiles with a mode of perf record --call-graph.
func startPerf(mode string) func(hz int, folder string) (session, error) {
	return func(hz int, folder string) (session, error) { return &perf{mode: mode, hz: hz, folder: folder}, nil }
}

func (p *perf) run(load, rounds string) (once, error) {
	data := filepath.Join(p.folder, fmt.Sprintf("perf-%d.data", len(p.data)))
	p.data = append(p.data, data)
	loaded := exec.Command(load, rounds)
	if err := loaded.Start(); err != nil {
		return once{}, err
	}
	record := exec.Command("perf", "record", "-q", "-p", strconv.Itoa(loaded.Process.Pid), "-e", "cpu-clock",
		"-F", strconv.Itoa(p.hz), "--call-graph", p.mode, "-m", "16M", "-o", data)
	text, err := record.CombinedOutput() // it ends with the load
	if err := loaded.Wait(); err != nil {
		return once{}, err
	}
	if err != nil {
		return once{}, fmt.Errorf("perf record: %w: %s", err, text)
	}
	return once{used(loaded), used(record)}, nil
}

// stop reads what was recorded. With call graphs of dwarf, that is when stacks are
// walked.
func (p *perf) stop() (all counts, err error) {
	for _, data := range p.data {
		if err := all.script(data); err != nil {
			return all, err
		}
	}
	// How long a process has been running makes no difference.
	all.taken, all.settled, all.settledWhole = all.samples, all.samples, all.whole
	return all, nil
}

// script has perf print the stacks of a file, and removes that.
func (c *counts) script(data string) error {
	defer os.Remove(data)
	cmd := exec.Command("perf", "script", "-i", data, "-F", "comm,ip,sym", "--no-inline", "--max-stack", "1024")
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("perf script: %w: %s", err, complaints.String())
	}
	c.after += used(cmd)
	var s stack
	for lines := bufio.NewScanner(&out); lines.Scan(); {
		if line := strings.TrimSpace(lines.Text()); line != "" {
			s.add(line)
			continue
		}
		c.samples++
		if s.whole() {
			c.whole++
		}
		s = stack{}
	}
	return nil
}

// threads sums the run time of a process, the first field of schedstat, in ns.
func threads(pid int) (sum time.Duration, err error) {
	names, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return 0, err
		}
		ns, err := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(ns)
	}
	return sum, nil
}

// stack counts the frames of a sample of the load.
type stack struct {
	links int
	main  bool
}

// add takes a line of perf script, or a name.
func (s *stack) add(line string) {
	name := line[strings.LastIndexByte(line, ' ')+1:]
	if name == "down" {
		s.links++
	}
	s.main = s.main || name == "main"
}

// whole says whether all calls of the program are there.
func (s *stack) whole() bool { return s.links == 60 && s.main }
