// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package receiver_test

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pprofile"
	"golang.org/x/sys/unix"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/receiver"
)

// spinning is a BPF program that goes round a loop of so many multiplications, some 60,000
// instructions in all.
func spinning(t *testing.T, name string, long int) *ebpf.Program {
	t.Helper()
	code := asm.Instructions{
		asm.Mov.Imm(asm.R0, 3),
		asm.Mov.Imm(asm.R1, int32(60_000/(long+2))),
		asm.Sub.Imm(asm.R1, 1).WithSymbol("again"),
	}
	for range long {
		code = append(code, asm.Mul.Imm(asm.R0, 7))
	}
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: name, Type: ebpf.SocketFilter, License: "GPL",
		Instructions: append(code, asm.JNE.Imm(asm.R1, 0, "again"), asm.Return()),
	})
	require.NoError(t, err)
	return p
}

// startForPrograms returns when the kernel's list of symbols has been read.
func startForPrograms(t *testing.T) (*receiver.Receiver, *consumertest.ProfilesSink) {
	t.Helper()
	s := fast()
	s.SamplesPerSecond = 499
	sink := &consumertest.ProfilesSink{}
	r := startKernel(t, s, sink)
	require.Eventually(t, func() bool {
		named := false
		for _, p := range sink.AllProfiles() {
			for _, l := range p.Dictionary().LocationTable().All() {
				named = named || fileOf(p.Dictionary(), l) == "[kernel.kallsyms]" && l.Lines().Len() > 0
			}
		}
		return named
	}, 20*time.Second, 50*time.Millisecond)
	return r, sink
}

// spin runs a program for a while of CPU time.
func spin(t *testing.T, p *ebpf.Program, long time.Duration) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	used := func() time.Duration {
		var c unix.Timespec
		require.NoError(t, unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &c))
		return time.Duration(c.Nano())
	}
	for began := used(); used()-began < long; {
		_, _, err := p.Benchmark(make([]byte, 64), 200, nil)
		require.NoError(t, err)
	}
}

// programs are the samples in code of BPF that this process had run, by what follows the
// program's tag in its name, and those in unnamed code of the kernel, "".
func programs(sink *consumertest.ProfilesSink) map[string]int {
	got := map[string]int{}
	eachProgramSample(sink, func(name string, s pprofile.Sample) { got[name] += s.TimestampsUnixNano().Len() })
	return got
}

func eachProgramSample(sink *consumertest.ProfilesSink, yield func(name string, s pprofile.Sample)) {
	eachSample(sink.AllProfiles(), func(a pcommon.Map, d pprofile.ProfilesDictionary, s pprofile.Sample) {
		if pid, _ := a.Get("process.pid"); pid.Int() != int64(os.Getpid()) {
			return
		}
		stack := d.StackTable().At(int(s.StackIndex()))
		if stack.LocationIndices().Len() == 0 {
			return
		}
		l := d.LocationTable().At(int(stack.LocationIndices().At(0)))
		file, name := fileOf(d, l), ""
		if l.Lines().Len() > 0 {
			name = d.StringTable().At(int(d.FunctionTable().At(int(l.Lines().At(0).FunctionIndex())).NameStrindex()))
			at := strings.Index(name, "spin_")
			if file != "[bpf]" || at < 0 { // the kernel, or a program of somebody else
				return
			}
			name = name[at:]
		} else if file != "[kernel.kallsyms]" {
			return
		}
		yield(name, s)
	})
}

// TestKernelCodeMadeAtRunTimeIsNamed: BPF programs that are loaded while the receiver runs
// have their names, and the kernel's list is not read again.
func TestKernelCodeMadeAtRunTimeIsNamed(t *testing.T) {
	roottest.InTime(t)
	roottest.Need(t)
	r, sink := startForPrograms(t)
	ledger := receiver.ReadLedger(r)
	names := []string{"spin_one", "spin_two", "spin_three"}
	for _, name := range names {
		p := spinning(t, name, 2)
		spin(t, p, 1500*time.Millisecond)
		require.NoError(t, p.Close())
	}
	require.NoError(t, r.Shutdown(t.Context()))
	require.Zero(t, ledger().Late)
	got := programs(sink)
	t.Log(got)
	for _, name := range names {
		require.Greater(t, got[name], 20, name)
	}
	require.Zero(t, got[""])
}

// TestLongProgramsOfBeforeAreNamed: a BPF program of many pages that was loaded before the
// receiver has its name to its end, where the kernel tells its size.
func TestLongProgramsOfBeforeAreNamed(t *testing.T) {
	roottest.InTime(t)
	roottest.Need(t)
	p := spinning(t, "spin_long", 5000)
	defer p.Close()
	r, sink := startForPrograms(t)
	spin(t, p, 1500*time.Millisecond)
	require.NoError(t, r.Shutdown(t.Context()))
	got := programs(sink)
	t.Log(got)
	require.Greater(t, got["spin_long"], 100)
	require.Zero(t, got[""])
}

// TestBPFProgramsThatTakeTurnsKeepTheirNames: BPF programs that are loaded one after the other,
// many in a window, most where another was, name the samples of their own time alone.
func TestBPFProgramsThatTakeTurnsKeepTheirNames(t *testing.T) {
	roottest.InTime(t)
	roottest.Need(t)
	r, sink := startForPrograms(t)
	var ends []time.Time // of each program
	shared := map[uintptr]int{}
	for i := range 60 {
		p := spinning(t, fmt.Sprintf("spin_%03d", i), 2)
		info, err := p.Info()
		require.NoError(t, err)
		addresses, _ := info.JitedKsymAddrs()
		shared[addresses[0]]++
		spin(t, p, 50*time.Millisecond)
		require.NoError(t, p.Close())
		ends = append(ends, time.Now())
	}
	require.NoError(t, r.Shutdown(t.Context()))
	right, wrong := 0, 0
	eachProgramSample(sink, func(name string, s pprofile.Sample) {
		for _, k := range s.TimestampsUnixNano().All() {
			at := time.Unix(0, int64(k))
			i, _ := slices.BinarySearchFunc(ends, at, time.Time.Compare)
			if name == fmt.Sprintf("spin_%03d", i) {
				right++
				continue
			}
			wrong++
			t.Logf("%s at %s, when program %d ran", name, at, i)
		}
	})
	t.Log(right, "samples, programs at", len(shared), "addresses")
	require.Greater(t, right, 500)
	require.Zero(t, wrong)
}
