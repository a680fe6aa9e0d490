// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package receiver_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pprofile"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/receiver"
)

// spinning is a BPF program that counts down from a million.
func spinning(t *testing.T, name string) *ebpf.Program {
	t.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: name, Type: ebpf.SocketFilter, License: "GPL",
		Instructions: asm.Instructions{
			asm.Mov.Imm(asm.R0, 0),
			asm.Mov.Imm(asm.R1, 1<<14).WithSymbol("loop"),
			asm.Add.Imm(asm.R0, 3),
			asm.Mul.Imm(asm.R0, 5),
			asm.Sub.Imm(asm.R1, 1).WithSymbol("again"),
			asm.Mul.Imm(asm.R0, 7),
			asm.JNE.Imm(asm.R1, 0, "again"),
			asm.Return(),
		},
	})
	require.NoError(t, err)
	return p
}

// TestKernelCodeMadeAtRunTimeIsNamed: BPF programs that are loaded while the receiver runs
// have their names, and the kernel's list is not read again.
func TestKernelCodeMadeAtRunTimeIsNamed(t *testing.T) {
	roottest.InTime(t)
	roottest.Need(t)
	s := fast()
	s.SamplesPerSecond = 499
	sink := &consumertest.ProfilesSink{}
	r := startKernel(t, s, sink)
	ledger := receiver.ReadLedger(r)
	time.Sleep(s.ReporterInterval) // the kernel's list has been read
	packet := make([]byte, 64)
	names := []string{"spin_one", "spin_two", "spin_three"}
	for _, name := range names {
		p := spinning(t, name)
		for began := time.Now(); time.Since(began) < 1500*time.Millisecond; {
			_, _, err := p.Benchmark(packet, 200, nil)
			require.NoError(t, err)
		}
		require.NoError(t, p.Close())
	}
	require.NoError(t, r.Shutdown(t.Context()))
	require.Zero(t, ledger().Late)
	got, unnamed := map[string]int{}, 0
	eachSample(sink.AllProfiles(), func(a pcommon.Map, d pprofile.ProfilesDictionary, s pprofile.Sample) {
		if pid, _ := a.Get("process.pid"); pid.Int() != int64(os.Getpid()) {
			return
		}
		stack := d.StackTable().At(int(s.StackIndex()))
		if stack.LocationIndices().Len() == 0 {
			return
		}
		l := d.LocationTable().At(int(stack.LocationIndices().At(0)))
		if fileOf(d, l) != "[bpf]" {
			return
		}
		if l.Lines().Len() == 0 {
			unnamed++
			return
		}
		name := d.StringTable().At(int(d.FunctionTable().At(int(l.Lines().At(0).FunctionIndex())).NameStrindex()))
		if i := strings.Index(name, "spin_"); i >= 0 {
			got[name[i:]] += s.TimestampsUnixNano().Len()
		}
	})
	t.Log(got, unnamed)
	for _, name := range names {
		require.Greater(t, got[name], 20, name)
	}
	require.Zero(t, unnamed)
}
