// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/profile"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/symbol"
)

// TestKernelCodeComesAndGoes follows a place in the kernel that three programs have after
// each other, whose records come in any order.
func TestKernelCodeComesAndGoes(t *testing.T) {
	const at = 0xffffffffc0001000
	k, err := symbol.ReadKallsyms(strings.NewReader("ffffffff81000000 T _stext\nffffffff81000100 T work\nffffffff82000000 T _etext\n"+
		"ffffffffc0001000 t bpf_prog_1_old\t[bpf]\n"), nil)
	require.NoError(t, err)
	p := newPipeline()
	p.KernelLoaded(k, "", 0)
	code := func(when event.KTime, name string, gone bool) event.KernelCode {
		return event.KernelCode{KTime: when, Start: at, End: at + 0x80, Name: name, BPF: true, Gone: gone}
	}
	name := func(window int) (string, string) {
		t.Helper()
		end := start + event.KTime(window)*1000*ms
		p.Batch(batch(sample(end-1, 7)))
		closed := p.Complete(end)
		require.Len(t, closed, 1)
		l := closed[0].Resolve(profile.Frame{Binary: kernel, Offset: at + 0x10})
		require.Equal(t, []string{"work"}, functions(closed[0].Resolve(profile.Frame{Binary: kernel, Offset: 0xffffffff81000110})))
		if len(l.Lines) == 0 {
			return "", l.Mapping.Filename
		}
		return l.Lines[0].Function, l.Mapping.Filename
	}
	n, file := name(1)
	require.Equal(t, "bpf_prog_1_old", n)
	require.Equal(t, "[bpf]", file)

	// In the order of buffers, not of time: the one that goes is told of last.
	p.Batch(&event.Batch{Kernel: []event.KernelCode{code(2500*ms, "bpf_prog_2_b", false)}})
	p.Batch(&event.Batch{Kernel: []event.KernelCode{code(2400*ms, "bpf_prog_1_old", true)}})
	n, _ = name(2)
	require.Equal(t, "bpf_prog_2_b", n)

	p.Batch(&event.Batch{Kernel: []event.KernelCode{code(3500*ms, "bpf_prog_2_b", true)}})
	n, _ = name(3)
	require.Equal(t, "bpf_prog_2_b", n, "it ran in this window")
	n, _ = name(4)
	require.Empty(t, n, "and not after, nor is the first there again, which the list still has")
	require.Empty(t, p.kernel.ended)
	p.kernel.miss(k, []uint64{at + 0x10}, 5000*ms)
	require.True(t, p.KernelRequested(), "there may be a module now")

	p.Batch(&event.Batch{Kernel: []event.KernelCode{
		code(5100*ms, "bpf_prog_3_c", false), code(5200*ms, "bpf_prog_3_c", true), code(5300*ms, "bpf_prog_4_d", false)}})
	n, _ = name(5)
	require.Equal(t, "bpf_prog_4_d", n)
	require.Len(t, p.kernel.made, 1)
	p.Batch(&event.Batch{Kernel: []event.KernelCode{code(6500*ms, "bpf_prog_4_d", true)}})
	n, _ = name(6)
	require.Equal(t, "bpf_prog_4_d", n)
	require.Len(t, p.kernel.made, 1)
	p.KernelLoaded(k, "", 7000*ms)
	require.Len(t, p.kernel.made, 1, "the list may have what went half a second before")
	p.KernelLoaded(k, "", 7600*ms)
	require.Empty(t, p.kernel.made)
}

// A program that only the list knows has its name up to its end, and to the end of that window.
func TestKernelCodeOfTheListGoes(t *testing.T) {
	const at = 0xffffffffc0001000
	k, err := symbol.ReadKallsyms(strings.NewReader("ffffffff81000000 T _stext\nffffffff81000100 T work\nffffffff82000000 T _etext\n"+
		"ffffffffc0001000 t bpf_prog_1_old\t[bpf]\nffffffffc0008000 t module\t[m]\n"), nil)
	require.NoError(t, err)
	p := newPipeline()
	p.KernelLoaded(k, "", 0)
	gone := event.KernelCode{KTime: 1500 * ms, Start: at, End: at + 0x80, Name: "bpf_prog_1_old", BPF: true, Gone: true}
	other := event.KernelCode{KTime: 1500 * ms, Start: at + 0x7000, End: at + 0x7080, Name: "bpf_prog_2_x", BPF: true, Gone: true}
	p.Batch(&event.Batch{Kernel: []event.KernelCode{gone, other}})
	p.Batch(batch(sample(1400*ms, 7), sample(2500*ms, 7)))
	var names [][]string
	for _, w := range p.Flush(2600 * ms) {
		names = append(names, functions(w.Resolve(profile.Frame{Binary: kernel, Offset: at + 0x10})),
			functions(w.Resolve(profile.Frame{Binary: kernel, Offset: at + 0x7010})))
	}
	require.Equal(t, [][]string{{"bpf_prog_1_old"}, {"module"}, nil, {"module"}}, names)

	p.Batch(&event.Batch{Kernel: []event.KernelCode{{KTime: 2700 * ms, Start: at - 0x40, End: at + 0x100, Name: "bpf_prog_3_large", BPF: true}}})
	p.Batch(batch(sample(2800*ms, 7)))
	closed := p.Flush(2900 * ms)
	require.Len(t, closed, 1)
	require.Equal(t, []string{"bpf_prog_3_large"}, functions(closed[0].Resolve(profile.Frame{Binary: kernel, Offset: at + 0x10})))
}

// TestKernelCodeIsThatOfTheWindow: what takes the place of code after a window has ended
// does not name what was sampled before, however late the completion is.
func TestKernelCodeIsThatOfTheWindow(t *testing.T) {
	const at = 0xffffffffc0001000
	k, err := symbol.ReadKallsyms(strings.NewReader("ffffffff81000000 T _stext\nffffffff81000100 T work\nffffffff82000000 T _etext\n"), nil)
	require.NoError(t, err)
	p := newPipeline()
	p.KernelLoaded(k, "", 0)
	code := func(k event.KTime, name string) event.KernelCode {
		return event.KernelCode{KTime: k, Start: at, End: at + 0x80, Name: name, BPF: true}
	}
	p.Batch(&event.Batch{Kernel: []event.KernelCode{code(1100*ms, "bpf_prog_1_a"), code(2100*ms, "bpf_prog_2_b"), code(3100*ms, "bpf_prog_3_c")}})
	p.Batch(batch(sample(1500*ms, 7), sample(2500*ms, 7), sample(3500*ms, 7)))
	var names []string
	for _, w := range p.Flush(3600 * ms) {
		names = append(names, w.Resolve(profile.Frame{Binary: kernel, Offset: at + 8}).Lines[0].Function)
	}
	require.Equal(t, []string{"bpf_prog_1_a", "bpf_prog_2_b", "bpf_prog_3_c"}, names)
}

func TestKernelCodeIsBounded(t *testing.T) {
	c := newKernelCode()
	for i := range uint64(maxKernelCode + 10) {
		c.observe([]event.KernelCode{{KTime: event.KTime(i), Start: i << 12, End: i<<12 + 1, Name: "x"}})
	}
	c.complete(nil, 1<<40)
	require.Len(t, c.made, maxKernelCode)
	require.EqualValues(t, 10, c.dropped)
}

// TestKernelIsReadAgainForModules: an address in a place where no code was known asks for
// the list, once in a pause that grows.
func TestKernelIsReadAgainForModules(t *testing.T) {
	list := "ffffffff81000000 T _stext\nffffffff81000100 T work\nffffffff82000000 T _etext\n"
	k, err := symbol.ReadKallsyms(strings.NewReader(list), nil)
	require.NoError(t, err)
	p := newPipeline()
	p.KernelLoaded(k, "", 0)
	hit := func(at event.KTime, address uint64) bool {
		s := sample(at, 7)
		s.Kernel = []uint64{address}
		p.Batch(batch(s))
		p.Complete(at)
		return p.KernelRequested()
	}
	const module = 0xffffffffc0100010
	require.False(t, hit(1100*ms, 0xffffffff81000110))
	require.True(t, hit(1200*ms, module))
	require.False(t, hit(1300*ms, module+1), "it is being read")
	require.False(t, hit(60_000*ms, module+2))
	require.True(t, hit(61_300*ms, module+3))
	require.False(t, hit(122_000*ms, module+4), "the pause grows")
	require.True(t, hit(182_000*ms, module+5))

	k, err = symbol.ReadKallsyms(strings.NewReader(list+"ffffffffc0100000 t probe\t[mod]\n"), nil)
	require.NoError(t, err)
	p.KernelLoaded(k, "", 0)
	require.False(t, hit(900_000*ms, module+6))
	p.KernelLoaded(nil, "", 0)
	require.Same(t, k, p.code.kernel, "what was read before stays")
}

// TestKernelWithoutNames: a backend can name the kernel's own code by its build ID, and only
// that.
func TestKernelWithoutNames(t *testing.T) {
	const at = 0xffffffffc0001000
	k, err := symbol.ReadKallsyms(strings.NewReader("ffffffff81000000 T _stext\nffffffff81000100 T work\nffffffff82000000 T _etext\n"+
		"ffffffffc0001000 t probe\t[mod]\n"), nil)
	require.NoError(t, err)
	p := newPipeline()
	p.KernelLoaded(k.Nameless(), "abc", 0)
	p.Batch(batch(sample(1100*ms, 7)))
	p.Batch(&event.Batch{Kernel: []event.KernelCode{{KTime: 1050 * ms, Start: at, End: at + 0x80, Name: "bpf_prog_1_a", BPF: true}}})
	w := p.Complete(2000 * ms)
	require.Equal(t, profile.Location{
		Mapping: profile.Mapping{Filename: "[kernel.kallsyms]", Start: 0xffffffff81000000, Limit: 0xffffffff82000000, GNUBuildID: "abc"},
		Address: 0xffffffff81000110, FrameType: "kernel",
	}, w[0].Resolve(profile.Frame{Binary: kernel, Offset: 0xffffffff81000110}))
	require.Equal(t, profile.Location{Mapping: profile.Mapping{Filename: "[kernel.kallsyms]"}, Address: at + 8, FrameType: "kernel"},
		w[0].Resolve(profile.Frame{Binary: kernel, Offset: at + 8}))
	require.False(t, p.KernelRequested())
}

// Code that the kernel dropped is forgotten also when nothing is sampled.
func TestKernelCodeIsForgottenInEmptyWindows(t *testing.T) {
	p := newPipeline()
	for i := range event.KTime(20) {
		at := start + i*1000*ms
		code := event.KernelCode{Start: 0x1000 * uint64(i+1), KTime: at + 100*ms}
		gone := code
		gone.KTime, gone.Gone = at+200*ms, true
		p.Batch(&event.Batch{Kernel: []event.KernelCode{code, gone}})
		require.Empty(t, p.Complete(at+1000*ms))
	}
	require.LessOrEqual(t, len(p.kernel.made), 2)
	require.LessOrEqual(t, len(p.kernel.ended), 2)
}
