// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const metricsAddress = "127.0.0.1:18893"

const config = `
receivers: {%[1]s: {%[2]s}}
exporters: {nop: }
service:
  telemetry:
    metrics:
      readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: 18893}}}}]
  pipelines: {profiles: {receivers: [%[1]s], exporters: [nop]}}
`

// collector is a running one.
type collector struct {
	cmd          *exec.Cmd
	startSeconds float64
}

// configuration is that of a collector with this receiver, without it if the rate is 0.
func configuration(hz int) string {
	if hz == 0 {
		return fmt.Sprintf(config, "otlp", "protocols: {grpc: {endpoint: '127.0.0.1:0'}}")
	}
	return fmt.Sprintf(config, "ebpf_profiler", fmt.Sprintf("samples_per_second: %d", hz))
}

// startCollector returns when the collector says that it is ready.
func startCollector(binary string, hz int) (*collector, error) {
	began := time.Now()
	cmd := exec.Command(binary, "--config=yaml:"+configuration(hz), "--feature-gates=service.profilesSupport")
	log, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the collector: %w", err)
	}
	c := &collector{cmd: cmd}
	var text bytes.Buffer
	lines := bufio.NewScanner(io.TeeReader(log, &text))
	for lines.Scan() {
		if strings.Contains(lines.Text(), "Everything is ready") {
			c.startSeconds = time.Since(began).Seconds()
			go func() { _, _ = io.Copy(io.Discard, log) }()
			return c, nil
		}
	}
	return nil, fmt.Errorf("the collector did not start: %w:\n%s", cmd.Wait(), text.String())
}

func (c *collector) stop() error {
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return c.cmd.Wait()
}

// reading is what the kernel and the collector say at one moment.
type reading struct {
	cpu, bpf time.Duration
	forks    float64 // since boot
	metrics  map[string]float64
	mapBytes float64
	// rssBytes are in memory, of which anonBytes are not of files; peakBytes were at most.
	rssBytes, anonBytes, peakBytes float64
}

// resetPeak forgets what was in memory at most.
func (c *collector) resetPeak() error {
	const peak = "5" // Documentation/filesystems/proc.rst, v6.12
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", c.cmd.Process.Pid), []byte(peak), 0)
}

func (c *collector) read() (r reading, err error) {
	proc := filepath.Join("/proc", strconv.Itoa(c.cmd.Process.Pid))
	if r.cpu, err = cpuTime(proc); err != nil {
		return r, err
	}
	if r.bpf, r.mapBytes, err = bpfUse(proc); err != nil {
		return r, err
	}
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return r, err
	}
	r.forks = field(string(stat), "\nprocesses ")
	status, err := os.ReadFile(proc + "/status")
	if err != nil {
		return r, err
	}
	r.rssBytes = 1024 * field(string(status), "VmRSS:")
	r.anonBytes = 1024 * field(string(status), "RssAnon:")
	r.peakBytes = 1024 * field(string(status), "VmHWM:")
	r.metrics, err = scrape()
	return r, err
}

// cpuTime sums the run time of all threads in ns, the first field of schedstat.
func cpuTime(proc string) (sum time.Duration, err error) {
	threads, err := filepath.Glob(proc + "/task/*/schedstat")
	if err != nil {
		return 0, err
	}
	for _, name := range threads {
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

// bpfUse reads what the kernel tells of a process's programs and maps.
func bpfUse(proc string) (runTime time.Duration, mapBytes float64, err error) {
	files, err := filepath.Glob(proc + "/fdinfo/*")
	if err != nil {
		return 0, 0, err
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // closed since
		}
		info := string(text)
		switch {
		case strings.Contains(info, "prog_type:") && strings.Contains(info, "run_cnt:"):
			runTime += time.Duration(field(info, "run_time_ns:"))
		case strings.Contains(info, "map_type:"):
			mapBytes += field(info, "memlock:")
		}
	}
	return runTime, mapBytes, nil
}

// field is the number behind a label, 0 if there is none.
func field(text, label string) float64 {
	_, rest, _ := strings.Cut(text, label)
	words := strings.Fields(rest)
	if len(words) == 0 {
		return 0
	}
	n, _ := strconv.ParseFloat(words[0], 64)
	return n
}

// scrape sums the series of each metric of the receiver.
func scrape() (map[string]float64, error) {
	response, err := http.Get("http://" + metricsAddress + "/metrics")
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	sums := map[string]float64{}
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		name, ok := strings.CutPrefix(lines.Text(), "otelcol_receiver_ebpf_profiler_")
		at := strings.LastIndexByte(name, ' ')
		if !ok || at < 0 {
			continue
		}
		value, err := strconv.ParseFloat(name[at+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("read metric %q: %w", name, err)
		}
		name, _, _ = strings.Cut(name[:at], "{")
		sums[strings.TrimSuffix(name, "_total")] += value
	}
	return sums, lines.Err()
}
