// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command beside runs the collector and perf on the same load, one after the other, and
// prints how many stacks of it are whole, and what each costs: the CPU time of the
// profiler, and how much longer the load takes than alone, in pairs.
package main

import (
	_ "embed"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

//go:embed load/load.c
var source []byte

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// profiler is one way to profile the load.
type profiler struct {
	name string
	// start returns a session that has been running for long enough to have read what it
	// needs.
	start func(hz int, folder string) (session, error)
}

// session is a profiler that runs.
type session interface {
	// run runs the load profiled.
	run(load, rounds string) (once, error)
	stop() (counts, error)
}

// counts are of the samples that a profiler took: in all, those of the load, and those
// of them whose stacks are whole; then the same of the load's processes from settle on.
// What CPU it took to tell is after.
type counts struct {
	taken, samples, whole int
	settled, settledWhole int
	after                 time.Duration
}

// settle is how long a process has been running when its stacks no longer depend on
// what the profiler has read of it.
const settle = time.Second

// once is one run of the load: its CPU time, to which belongs what the kernel spends on
// its samples, and that of the profiler meanwhile.
type once struct{ load, profiler time.Duration }

func run() error {
	binary := flag.String("collector", "bin/otelcol-ebpf-profiler", "the collector to measure")
	pairs := flag.Int("pairs", 4, "pairs of sessions, alone and profiled")
	loads := flag.Int("loads", 4, "runs of the load in a session")
	only := flag.String("profiler", "", "measure the profilers whose names contain this")
	rounds := flag.String("rounds", "1500", "work of the load")
	rate := flag.Int("hz", 0, "samples per second; 0: 99 and 999")
	flag.Parse()
	rates := []int{99, 999}
	if *rate != 0 {
		rates = []int{*rate}
	}
	folder, err := os.MkdirTemp("", "beside")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	load, err := build(folder)
	if err != nil {
		return err
	}
	fmt.Printf("%d CPUs, median of %d pairs of %d runs of the load, in brackets the quartiles.\n\n", runtime.NumCPU(), *pairs, *loads)
	fmt.Println("| profiler | Hz | whole stacks | after the first second | CPU of the profiler, us per sample it took | CPU afterwards, us per sample | load slower by % |")
	fmt.Println("|---|---|---|---|---|---|---|")
	for _, hz := range rates {
		for _, p := range []profiler{
			{"this receiver", func(hz int, folder string) (session, error) { return startCollector(*binary, hz, folder) }},
			{"perf, fp", startPerf("fp")},
			{"perf, dwarf, 8 KiB", startPerf("dwarf,8192")},
			{"perf, dwarf, 64 KiB", startPerf("dwarf,65528")},
		} {
			if *only != "" && !strings.Contains(p.name, *only) {
				continue
			}
			r, err := measure(p, hz, *pairs, *loads, folder, load, *rounds)
			if err != nil {
				return fmt.Errorf("%s at %d Hz: %w", p.name, hz, err)
			}
			fmt.Println(r.row(p.name, hz))
		}
	}
	return nil
}

func build(folder string) (string, error) {
	in, out := filepath.Join(folder, "load.c"), filepath.Join(folder, loadName)
	if err := os.WriteFile(in, source, 0o600); err != nil {
		return "", err
	}
	if text, err := exec.Command("gcc", "-O2", "-g", "-fomit-frame-pointer", "-o", out, in).CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the load: %w: %s", err, text)
	}
	return out, nil
}

// loadName is the name of the load's processes.
const loadName = "besideload"

// result is what the runs of one profiler show.
type result struct {
	counts
	// cpu is what the profiler took while the load ran.
	cpu time.Duration
	// slower is the CPU time of the load when profiled over that alone, of each pair.
	slower []float64
}

// measure runs the load alone and profiled in turn.
func measure(p profiler, hz, pairs, loads int, folder, load, rounds string) (r result, err error) {
	for range pairs {
		var alone []time.Duration
		for range loads {
			cmd := exec.Command(load, rounds)
			if err := cmd.Run(); err != nil {
				return r, err
			}
			alone = append(alone, used(cmd))
		}
		s, err := p.start(hz, folder)
		if err != nil {
			return r, err
		}
		for i := range loads {
			o, err := s.run(load, rounds)
			if err != nil {
				return r, err
			}
			r.cpu += o.profiler
			r.slower = append(r.slower, 100*(o.load.Seconds()/alone[i].Seconds()-1))
		}
		c, err := s.stop()
		if err != nil {
			return r, err
		}
		r.taken, r.samples, r.whole = r.taken+c.taken, r.samples+c.samples, r.whole+c.whole
		r.settled, r.settledWhole, r.after = r.settled+c.settled, r.settledWhole+c.settledWhole, r.after+c.after
	}
	return r, nil
}

// used is the CPU time of a command that has ended.
func used(cmd *exec.Cmd) time.Duration {
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
}

func (r result) row(name string, hz int) string {
	slices.Sort(r.slower)
	share := func(n, of int) float64 { return 100 * float64(n) / float64(max(of, 1)) }
	taken := float64(max(r.taken, 1))
	at := func(q float64) float64 { return r.slower[int(math.Round(q*float64(len(r.slower)-1)))] }
	return fmt.Sprintf("| %s | %d | %.2f %% of %d | %.2f %% | %.1f | %.1f | %+.2f (%+.2f to %+.2f) |", name, hz,
		share(r.whole, r.samples), r.samples, share(r.settledWhole, r.settled),
		1e6*r.cpu.Seconds()/taken, 1e6*r.after.Seconds()/taken, at(0.5), at(0.25), at(0.75))
}
