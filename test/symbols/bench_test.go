// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package symbols

import (
	"bytes"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/symbol"
)

// figure is a file that the benchmarks read: the first of -files, else the C library.
func figure(b *testing.B) string {
	b.Helper()
	if *files != "" {
		_, path, _ := bytes.Cut([]byte(*files), []byte("="))
		return string(path)
	}
	return "/lib/x86_64-linux-gnu/libc.so.6"
}

// BenchmarkCold reads a file and the debug information of 1000 addresses.
func BenchmarkCold(b *testing.B) {
	file := figure(b)
	addresses := randomAddresses(b, file, 1000)
	for b.Loop() {
		p, err := Open(file)
		if p.File == nil {
			b.Fatal(err)
		}
		if err := p.Prepare(addresses); err != nil {
			b.Fatal(err)
		}
		for _, a := range addresses {
			p.Name(a)
		}
		p.Close()
	}
	b.ReportMetric(float64(len(addresses)*b.N)/b.Elapsed().Seconds(), "addresses/s")
}

// BenchmarkWarm names addresses of which everything has been read.
func BenchmarkWarm(b *testing.B) {
	file := figure(b)
	addresses := randomAddresses(b, file, 1000)
	p, err := Open(file)
	if p.File == nil {
		b.Fatal(err)
	}
	defer p.Close()
	if err := p.Prepare(addresses); err != nil {
		b.Fatal(err)
	}
	var out []symbol.Frame
	n := 0
	for b.Loop() {
		a := addresses[n%len(addresses)]
		out = p.File.Frames(a, p.unit(a), out[:0])
		n++
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "addresses/s")
}

// BenchmarkMemory says what a file and 1000 addresses of it take, and how large the
// process became when it read them.
func BenchmarkMemory(b *testing.B) {
	file := figure(b)
	addresses := randomAddresses(b, file, 1000)
	before := peak(b)
	for range b.N {
		began := time.Now()
		p, err := Open(file)
		if p.File == nil {
			b.Fatal(err)
		}
		opened := time.Since(began)
		if err := p.Prepare(addresses); err != nil {
			b.Fatal(err)
		}
		units := 0
		for _, u := range p.units {
			units += u.Bytes()
		}
		b.ReportMetric(opened.Seconds()*1e3, "ms-file")
		b.ReportMetric((time.Since(began)-opened).Seconds()*1e3, "ms-units")
		b.ReportMetric(float64(p.File.Bytes()+p.index.Bytes()), "B-file")
		b.ReportMetric(float64(p.File.Functions()), "functions")
		b.ReportMetric(float64(units), "B-units")
		b.ReportMetric(float64(len(p.units)), "units")
		p.Close()
	}
	b.ReportMetric(float64(peak(b)-before), "B-peak")
}

// peak is the largest resident size so far, in bytes.
func peak(b *testing.B) int {
	b.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := bytes.Cut(status, []byte("VmHWM:"))
	kb, err := strconv.Atoi(string(bytes.Fields(rest)[0]))
	if err != nil {
		b.Fatal(err)
	}
	return kb << 10
}
