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
	// stop ends the profiler and counts the samples of the load, and those whose stacks
	// are whole. What CPU that takes by itself is after.
	stop() (samples, whole int, after time.Duration, err error)
}

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
	fmt.Println("| profiler | Hz | whole stacks | CPU of the profiler, us per sample of the load | CPU afterwards, us per sample | load slower by % |")
	fmt.Println("|---|---|---|---|---|---|")
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
	samples, whole int
	// cpu is what the profiler took while the load ran, after what it took then.
	cpu, after time.Duration
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
		samples, whole, after, err := s.stop()
		if err != nil {
			return r, err
		}
		r.samples, r.whole, r.after = r.samples+samples, r.whole+whole, r.after+after
	}
	return r, nil
}

// used is the CPU time of a command that has ended.
func used(cmd *exec.Cmd) time.Duration {
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
}

func (r result) row(name string, hz int) string {
	slices.Sort(r.slower)
	n := float64(max(r.samples, 1))
	at := func(q float64) float64 { return r.slower[int(math.Round(q*float64(len(r.slower)-1)))] }
	return fmt.Sprintf("| %s | %d | %.2f %% of %d | %.1f | %.1f | %+.2f (%+.2f to %+.2f) |", name, hz,
		100*float64(r.whole)/n, r.samples, 1e6*r.cpu.Seconds()/n, 1e6*r.after.Seconds()/n, at(0.5), at(0.25), at(0.75))
}
