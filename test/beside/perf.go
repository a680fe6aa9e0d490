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
	"syscall"
	"time"
)

// perf is perf record of the whole host.
type perf struct {
	cmd  *exec.Cmd
	data string
}

// startPerf starts perf record with a mode of --call-graph.
func startPerf(mode string) func(hz int, folder string) (session, error) {
	return func(hz int, folder string) (session, error) {
		p := &perf{data: filepath.Join(folder, "perf.data")}
		p.cmd = exec.Command("perf", "record", "-q", "-a", "-e", "cpu-clock", "-F", strconv.Itoa(hz),
			"--call-graph", mode, "-m", "16M",
			"--no-buildid", "--no-buildid-cache", "-o", p.data) // reading them it falls over odd ones of other programs
		if err := p.cmd.Start(); err != nil {
			return nil, err
		}
		time.Sleep(time.Second)
		return p, nil
	}
}

func (p *perf) cpu() (time.Duration, error) { return threads(p.cmd.Process.Pid) }

func (p *perf) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	_ = p.cmd.Wait() // it ends with the signal
	return nil
}

// stacks reads what was recorded. With call graphs of dwarf, that is when stacks are
// walked.
func (p *perf) stacks() (samples, whole int, after time.Duration, err error) {
	defer os.Remove(p.data)
	script := exec.Command("perf", "script", "-i", p.data, "--comm", loadName, "-F", "comm,ip,sym", "--no-inline", "--max-stack", "1024")
	var out, complaints bytes.Buffer
	script.Stdout, script.Stderr = &out, &complaints
	if err := script.Run(); err != nil {
		return 0, 0, 0, fmt.Errorf("perf script: %w: %s", err, complaints.String())
	}
	var s stack
	lines := bufio.NewScanner(&out)
	for lines.Scan() {
		if line := strings.TrimSpace(lines.Text()); line != "" {
			s.add(line)
			continue
		}
		samples++
		if s.whole() {
			whole++
		}
		s = stack{}
	}
	return samples, whole, script.ProcessState.UserTime() + script.ProcessState.SystemTime(), lines.Err()
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
