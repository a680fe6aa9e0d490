// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command bench measures what the collector costs on this host and prints a
// table. Each row is the median of several runs; compare rows of one table only.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// load is what runs beside the collector.
type load struct {
	name string
	hz   int // 0: without the receiver
	// burners each keep one CPU busy, forkers each start programs.
	burners, forkers int
	// pause is how long a forker waits after each program.
	pause time.Duration
}

func run() error {
	binary := flag.String("collector", "bin/otelcol-ebpf-profiler", "the collector to measure")
	runs := flag.Int("runs", 3, "runs per row")
	only := flag.String("load", "", "measure rows of this load only")
	duration := flag.Duration("for", 20*time.Second, "length of a run")
	files := flag.Bool("files", false, "measure the memory that large files take, in place of loads")
	flag.Parse()

	stats, err := ebpf.EnableStats(unix.BPF_STATS_RUN_TIME)
	if err != nil {
		return fmt.Errorf("turn on run-time statistics of BPF, run as root: %w", err)
	}
	defer stats.Close()
	if *files {
		heading(1, *duration)
		return measureFiles(*binary, *duration)
	}
	burner, err := os.Executable()
	if err != nil {
		return err
	}
	heading(*runs, *duration)
	columns()
	cpus := runtime.NumCPU()
	for _, l := range []load{
		{name: "without"},
		{name: "quiet", hz: 19}, {name: "busy", hz: 19, burners: cpus},
		{name: "quiet", hz: 97}, {name: "busy", hz: 97, burners: cpus},
		{name: "busy", hz: 997, burners: cpus}, {name: "busy", hz: 4999, burners: cpus},
		{name: "programs", hz: 19, forkers: cpus, pause: time.Millisecond},
		{name: "programs", hz: 97, forkers: cpus, pause: time.Millisecond},
		{name: "programs", hz: 97, forkers: cpus},
	} {
		if *only != "" && *only != l.name {
			continue
		}
		var all []figures
		for range *runs {
			f, err := measure(*binary, burner, l, *duration)
			if err != nil {
				return fmt.Errorf("%s at %d Hz: %w", l.name, l.hz, err)
			}
			all = append(all, f)
		}
		fmt.Println(row(l, all))
	}
	return nil
}

// settle is the first window, names included.
const settle = 6 * time.Second

// measure runs the collector once.
func measure(binary, burner string, l load, d time.Duration) (f figures, err error) {
	var roles []string
	for cpu := range l.burners {
		roles = append(roles, fmt.Sprintf("%s=%d", burnOn, cpu))
	}
	for range l.forkers {
		roles = append(roles, fmt.Sprintf("%s=%s", forkEvery, l.pause))
	}
	for _, role := range roles {
		cmd := exec.Command(burner)
		cmd.Env = append(os.Environ(), role)
		if err := cmd.Start(); err != nil {
			return f, fmt.Errorf("start %s: %w", role, err)
		}
		defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	}
	c, err := startCollector(binary, l.hz)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	time.Sleep(settle)
	before, err := c.read()
	if err != nil {
		return f, err
	}
	time.Sleep(d)
	after, err := c.read()
	if err != nil {
		return f, err
	}
	f = compare(c, before, after, d)
	f.lagMillis, err = largestLag()
	return f, err
}

// largestLag looks at the watermark's lag several times, out of step with the
// completions.
func largestLag() (millis float64, err error) {
	const looks, apart = 8, 130 * time.Millisecond
	for range looks {
		time.Sleep(apart)
		metrics, err := scrape()
		if err != nil {
			return 0, err
		}
		millis = max(millis, 1e3*metrics["watermark_lag"])
	}
	return millis, nil
}

func heading(runs int, d time.Duration) {
	var name unix.Utsname
	_ = unix.Uname(&name)
	commit, _ := exec.Command("git", "describe", "--always", "--dirty").Output()
	fmt.Printf("Commit %s, Linux %s, %d CPUs, median of %d runs of %s each.\n\n",
		strings.TrimSpace(string(commit)), unix.ByteSliceToString(name.Release[:]), runtime.NumCPU(), runs, d)
}

func columns() {
	fmt.Println("| load | Hz | forks/s | CPU % of one core | us per sample | BPF us per sample | RSS MB | anonymous MB | BPF maps MB | start s | CPU s of the first 6 s | largest lag ms | late | lost |")
	fmt.Println("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|")
}

func row(l load, all []figures) string {
	median := func(get func(figures) float64) float64 {
		values := make([]float64, len(all))
		for i, f := range all {
			values[i] = get(f)
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	perSample := func(get func(figures) float64) string {
		if l.burners+l.forkers == 0 {
			return "-" // too few samples to tell
		}
		return fmt.Sprintf("%.1f", median(get))
	}
	return fmt.Sprintf("| %s | %d | %.0f | %.2f | %s | %s | %.0f | %.0f | %.1f | %.2f | %.2f | %.0f | %.0f | %.0f |", l.name, l.hz,
		median(func(f figures) float64 { return f.forks }),
		median(func(f figures) float64 { return f.cpuPercent }),
		perSample(func(f figures) float64 { return f.microsPerSample }),
		perSample(func(f figures) float64 { return f.bpfMicrosPerSample }),
		median(func(f figures) float64 { return f.rssMB }),
		median(func(f figures) float64 { return f.anonMB }),
		median(func(f figures) float64 { return f.mapsMB }),
		median(func(f figures) float64 { return f.startSeconds }),
		median(func(f figures) float64 { return f.startCPU }),
		median(func(f figures) float64 { return f.lagMillis }),
		median(func(f figures) float64 { return f.late }),
		median(func(f figures) float64 { return f.lost }))
}
