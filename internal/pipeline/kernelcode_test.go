// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/profile"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/symbol"
)

const kernelText = "ffffffff81000000 T _stext\nffffffff81000100 T work\nffffffff82000000 T _etext\n"

func kernelSymbols(t require.TestingT, more string) *symbol.Kernel {
	k, err := symbol.ReadKallsyms(strings.NewReader(kernelText+more), nil)
	require.NoError(t, err)
	return k
}

// sampleIn is a sample in the kernel only.
func sampleIn(k event.KTime, address uint64) event.Sample {
	s := sample(k, 7)
	s.Kernel = []uint64{address}
	return s
}

// kernelNames are the files and functions of the innermost frames of samples, by their time.
func kernelNames(t require.TestingT, windows []*Window) map[event.KTime]string {
	out := map[event.KTime]string{}
	for _, w := range windows {
		for b := range w.Batches(profile.Settings{Period: time.Millisecond, MaxBatchBytes: 1 << 20}, w) {
			d := b.Profiles.Dictionary()
			for _, s := range b.Profiles.ResourceProfiles().At(0).ScopeProfiles().At(0).Profiles().At(0).Samples().All() {
				l := d.LocationTable().At(int(d.StackTable().At(int(s.StackIndex())).LocationIndices().At(0)))
				name := d.StringTable().At(int(d.MappingTable().At(int(l.MappingIndex())).FilenameStrindex()))
				for _, line := range l.Lines().All() {
					name += " " + d.StringTable().At(int(d.FunctionTable().At(int(line.FunctionIndex())).NameStrindex()))
				}
				for _, k := range s.TimestampsUnixNano().All() {
					require.NotContains(t, out, event.KTime(k))
					out[event.KTime(k)] = name
				}
			}
		}
	}
	return out
}

// TestKernelCodeComesAndGoes follows a place in the kernel that programs have after each
// other, whose records come in any order.
func TestKernelCodeComesAndGoes(t *testing.T) {
	const at = 0xffffffffc0001000
	k := kernelSymbols(t, "ffffffffc0001000 t bpf_prog_1_old\t[bpf]\n")
	p := newPipeline()
	p.KernelLoaded(KernelAnswer{Symbols: k})
	code := func(when event.KTime, name string, gone bool) event.KernelCode {
		return event.KernelCode{KTime: when, Start: at, End: at + 0x80, Name: name, BPF: true, Gone: gone}
	}
	var closed []*Window
	complete := func(window int, times ...event.KTime) {
		for _, k := range times {
			p.Batch(batch(sampleIn(k, at+0x10)))
		}
		p.Batch(batch(sampleIn(start+event.KTime(window)*1000*ms, 0xffffffff81000110)))
		got := p.Complete(start + event.KTime(window)*1000*ms)
		require.Len(t, got, 1)
		closed = append(closed, got...)
	}
	complete(1, 1500*ms)
	// In the order of buffers, not of time: the one that goes is told of last.
	p.Batch(&event.Batch{Kernel: []event.KernelCode{code(2500*ms, "bpf_prog_2_b", false)}})
	p.Batch(&event.Batch{Kernel: []event.KernelCode{code(2400*ms, "bpf_prog_1_old", true)}})
	complete(2, 2100*ms, 2450*ms, 2600*ms)
	p.Batch(&event.Batch{Kernel: []event.KernelCode{code(3500*ms, "bpf_prog_2_b", true)}})
	complete(3, 3100*ms, 3600*ms)
	complete(4, 4100*ms)
	require.True(t, p.KernelRequested(), "there may be a module now")
	p.Batch(&event.Batch{Kernel: []event.KernelCode{
		code(5100*ms, "bpf_prog_3_c", false), code(5200*ms, "bpf_prog_3_c", true), code(5300*ms, "bpf_prog_4_d", false)}})
	complete(5, 5050*ms, 5150*ms, 5250*ms, 5350*ms)
	require.Len(t, p.kernel.made, 1)
	require.Empty(t, p.kernel.former)
	p.Batch(&event.Batch{Kernel: []event.KernelCode{code(6500*ms, "bpf_prog_4_d", true)}})
	complete(6, 6100*ms, 6600*ms)
	names := kernelNames(t, closed)
	for k, name := range names {
		if k%(1000*ms) == 0 {
			require.Equal(t, "[kernel.kallsyms] work", name)
			delete(names, k)
		}
	}
	require.Equal(t, map[event.KTime]string{
		1500 * ms: "[bpf] bpf_prog_1_old",
		2100 * ms: "[bpf] bpf_prog_1_old",
		2450 * ms: "[bpf] bpf_prog_1_old", // it may still run
		2600 * ms: "[bpf] bpf_prog_2_b",
		3100 * ms: "[bpf] bpf_prog_2_b",
		3600 * ms: "[bpf] bpf_prog_2_b",
		4100 * ms: "[kernel.kallsyms]", // nor is the first there again, which the list still has
		5050 * ms: "[kernel.kallsyms]",
		5150 * ms: "[bpf] bpf_prog_3_c",
		5250 * ms: "[bpf] bpf_prog_3_c",
		5350 * ms: "[bpf] bpf_prog_4_d",
		6100 * ms: "[bpf] bpf_prog_4_d",
		6600 * ms: "[bpf] bpf_prog_4_d",
	}, names)

	require.Len(t, p.kernel.made, 1)
	p.KernelLoaded(KernelAnswer{Symbols: k, From: 7000 * ms})
	p.Complete(8100 * ms)
	require.Len(t, p.kernel.made, 1, "the list may have what went half a second before")
	p.KernelLoaded(KernelAnswer{Symbols: k, From: 8200 * ms})
	require.Len(t, p.kernel.made, 1, "samples of before may still come")
	p.Complete(9100 * ms)
	p.Complete(9200 * ms)
	require.Empty(t, p.kernel.made)
}

// A module that is loaded where a program was has its own name as soon as the list has it.
func TestModulesTakeThePlaceOfKernelCode(t *testing.T) {
	const at = 0xffffffffc0001000
	p := newPipeline()
	p.KernelLoaded(KernelAnswer{Symbols: kernelSymbols(t, "ffffffffc0001000 t bpf_prog_1_old\t[bpf]\n")})
	p.Batch(&event.Batch{Kernel: []event.KernelCode{{KTime: 1500 * ms, Start: at, End: at + 0x80, BPF: true, Gone: true}}})
	require.Empty(t, p.Complete(3100*ms))
	require.Len(t, p.kernel.made, 1)
	p.KernelLoaded(KernelAnswer{Symbols: kernelSymbols(t, "ffffffffc0001000 t probe\t[m]\n"), From: 1600 * ms})
	require.Empty(t, p.Complete(5100*ms))
	p.Batch(batch(sampleIn(5200*ms, at+0x10)))
	require.Equal(t, map[event.KTime]string{5200 * ms: "[m] probe"}, kernelNames(t, p.Flush(5300*ms)))
}

// TestKernelCodeIsThatOfTheSample: whatever takes whose place when, samples have the name of
// what was there, however they are spread over completions and windows.
func TestKernelCodeIsThatOfTheSample(t *testing.T) {
	const base = 0xffffffffc0001000
	rapid.Check(t, func(t *rapid.T) {
		type program struct {
			event.KernelCode
			gone event.KTime
		}
		var programs []program
		var records []event.KernelCode
		at := start
		for i := range rapid.IntRange(0, 12).Draw(t, "programs") {
			at += event.KTime(rapid.IntRange(1, 400).Draw(t, "pause")) * ms
			from := base + 0x10*uint64(rapid.IntRange(0, 9).Draw(t, "from"))
			c := event.KernelCode{KTime: at, Start: from, End: from + 0x10*uint64(rapid.IntRange(1, 5).Draw(t, "size")), Name: fmt.Sprint("p", i), BPF: true}
			for j, p := range programs { // the kernel frees a place before it gives it away
				if p.gone == 0 && p.Start < c.End && c.Start < p.End {
					gone := p.KernelCode
					gone.KTime, gone.Gone = rapid.SampledFrom([]event.KTime{p.KTime, at - ms/2, at}).Draw(t, "gone"), true
					records = append(records, gone)
					programs[j].gone = gone.KTime
				}
			}
			programs, records = append(programs, program{c, 0}), append(records, c)
		}
		p := newPipeline()
		p.KernelLoaded(KernelAnswer{Symbols: kernelSymbols(t, "")})
		addresses := map[event.KTime]uint64{}
		reread := false
		var closed []*Window
		for now := start; now < at+1000*ms; {
			until := now + event.KTime(rapid.IntRange(1, 1500).Draw(t, "completion"))*ms
			var b event.Batch
			for k := now + ms/4; k <= until; k += 20 * ms {
				addresses[k] = base + uint64(rapid.IntRange(0, 0xff).Draw(t, "address"))
				b.Samples = append(b.Samples, sampleIn(k, addresses[k]))
			}
			for _, r := range records {
				if now < r.KTime && r.KTime <= until {
					b.Kernel = append(b.Kernel, r)
				}
			}
			p.Batch(&b)
			closed = append(closed, p.Complete(until)...)
			now = until
			if rapid.Bool().Draw(t, "symbols are read again") {
				from := now - event.KTime(rapid.IntRange(0, 400).Draw(t, "ago"))*ms
				list := ""
				for _, p := range programs {
					if p.KTime <= from && (p.gone == 0 || p.gone > from) {
						list += fmt.Sprintf("%x t %s\t[bpf]\n", p.Start, p.Name)
					}
				}
				p.KernelLoaded(KernelAnswer{Symbols: kernelSymbols(t, list), From: from})
				reread = true
			}
		}
		names := kernelNames(t, append(closed, p.Flush(at+4000*ms)...))
		require.Len(t, names, len(addresses))
		for k, address := range addresses {
			want, alive := []string{"[kernel.kallsyms]"}, false
			for _, p := range programs {
				switch {
				case p.KTime > k || address < p.Start || address >= p.End:
				case p.gone != 0 && p.gone <= k:
					want = []string{"[kernel.kallsyms]", "[bpf] " + p.Name} // it may still run
				default:
					want, alive = []string{"[bpf] " + p.Name}, true
				}
			}
			if alive || !reread { // a list has no ends: what is before a free place may name it
				require.Contains(t, want, names[k], "%#x at %d", address, k)
			}
		}
	})
}

// Samples of before the symbols were read again have the names of what was there, also if
// the record of its end was lost.
func TestKernelCodeOfTheListBeforeHasItsName(t *testing.T) {
	const at = 0xffffffffc0001000
	p := newPipeline()
	p.KernelLoaded(KernelAnswer{Symbols: kernelSymbols(t, "ffffffffc0001000 t bpf_prog_1_old\t[bpf]\n")})
	p.Batch(batch(sampleIn(1400*ms, at+0x10)))
	p.Complete(1500 * ms)
	p.KernelLoaded(KernelAnswer{Symbols: kernelSymbols(t, "ffffffffc0001000 t bpf_prog_2_new\t[bpf]\nffffffffc0008000 t module\t[m]\n"), From: 1600 * ms})
	made := event.KernelCode{KTime: 1550 * ms, Start: at, End: at + 0x80, Name: "bpf_prog_2_new", BPF: true}
	p.Batch(&event.Batch{Kernel: []event.KernelCode{made}})
	p.Batch(batch(sampleIn(1520*ms, at+0x10), sampleIn(1700*ms, at+0x10), sampleIn(1750*ms, at+0x7010)))
	require.Equal(t, map[event.KTime]string{
		1400 * ms: "[bpf] bpf_prog_1_old",
		1520 * ms: "[bpf] bpf_prog_1_old",
		1700 * ms: "[bpf] bpf_prog_2_new",
		1750 * ms: "[m] module",
	}, kernelNames(t, p.Complete(2100*ms)))
	p.Batch(batch(sampleIn(2500*ms, at+0x10)))
	require.Equal(t, map[event.KTime]string{2500 * ms: "[bpf] bpf_prog_2_new"}, kernelNames(t, p.Flush(2600*ms)))
	require.Nil(t, p.code.kernelBefore)
}

// A program that went long ago does not come back with the list of before, when its place is
// given away.
func TestKernelCodeThatWentStaysGoneInTheListBefore(t *testing.T) {
	const at = 0xffffffffc0001000
	p := newPipeline()
	p.KernelLoaded(KernelAnswer{Symbols: kernelSymbols(t, "ffffffffc0001000 t bpf_prog_1_old\t[bpf]\n")})
	p.Batch(&event.Batch{Kernel: []event.KernelCode{bpfCode(1500*ms, at, "bpf_prog_1_old", true)}})
	p.Complete(4050 * ms)
	p.Batch(batch(sampleIn(4100*ms, at+0x10)))
	p.Complete(4200 * ms)
	p.KernelLoaded(KernelAnswer{Symbols: kernelSymbols(t, "ffffffffc0001000 t probe\t[m]\n"), From: 4150 * ms})
	p.Batch(batch(sampleIn(4500*ms, at+0x10)))
	closed := p.Complete(5100 * ms)
	p.Batch(batch(sampleIn(5500*ms, at+0x10)))
	require.Equal(t, map[event.KTime]string{
		4100 * ms: "[kernel.kallsyms]", 4500 * ms: "[kernel.kallsyms]", 5500 * ms: "[m] probe",
	}, kernelNames(t, append(closed, p.Flush(5600*ms)...)))
}

// A program that only the list knows has its name up to its end, and to the end of that window.
func TestKernelCodeOfTheListGoes(t *testing.T) {
	const at = 0xffffffffc0001000
	p := newPipeline()
	p.KernelLoaded(KernelAnswer{Symbols: kernelSymbols(t, "ffffffffc0001000 t bpf_prog_1_old\t[bpf]\nffffffffc0008000 t module\t[m]\n")})
	gone := event.KernelCode{KTime: 1500 * ms, Start: at, End: at + 0x80, Name: "bpf_prog_1_old", BPF: true, Gone: true}
	other := event.KernelCode{KTime: 1500 * ms, Start: at + 0x7000, End: at + 0x7080, Name: "bpf_prog_2_x", BPF: true, Gone: true}
	p.Batch(&event.Batch{Kernel: []event.KernelCode{gone, other}})
	p.Batch(batch(sampleIn(1400*ms, at+0x10), sampleIn(1600*ms, at+0x10), sampleIn(1700*ms, at+0x7010),
		sampleIn(2500*ms, at+0x10), sampleIn(2550*ms, at+0x7010)))
	closed := p.Flush(2600 * ms)
	p.Batch(&event.Batch{Kernel: []event.KernelCode{{KTime: 2700 * ms, Start: at - 0x40, End: at + 0x100, Name: "bpf_prog_3_large", BPF: true}}})
	p.Batch(batch(sampleIn(2650*ms, at+0x20), sampleIn(2800*ms, at+0x20)))
	require.Equal(t, map[event.KTime]string{
		1400 * ms: "[bpf] bpf_prog_1_old",
		1600 * ms: "[bpf] bpf_prog_1_old",
		1700 * ms: "[m] module",
		2500 * ms: "[kernel.kallsyms]",
		2550 * ms: "[m] module",
		2650 * ms: "[kernel.kallsyms]",
		2800 * ms: "[bpf] bpf_prog_3_large",
	}, kernelNames(t, append(closed, p.Flush(2900*ms)...)))
}

// Code that is known of by a list and ends over what was made keeps the name of that before.
func TestKernelCodeThatEndsOverOtherKeepsTheirTimes(t *testing.T) {
	const at = 0xffffffffc0001000
	c := newKernelCode()
	list := kernelSymbols(t, "ffffffffc0001040 t bpf_prog_2_b\t[bpf]\n")
	c.observe([]event.KernelCode{bpfCode(1000*ms, at, "bpf_prog_1_a", false), bpfCode(5000*ms, at+0x40, "bpf_prog_2_b", true)})
	c.complete(list, 5000*ms)
	m := c.at(at+0x10, 4000*ms)
	require.NotNil(t, m)
	require.Equal(t, "bpf_prog_1_a", m.Name)
	c.window(list, 5000*ms)
	require.Empty(t, c.former)
}

func TestKernelCodeIsBounded(t *testing.T) {
	c := newKernelCode()
	for i := range uint64(maxKernelCode + 10) {
		c.observe([]event.KernelCode{{KTime: event.KTime(i), Start: i << 12, End: i<<12 + 1, Name: "x"}})
	}
	c.complete(nil, 1<<40)
	require.Len(t, c.made, maxKernelCode)
	require.EqualValues(t, 10, c.dropped)
	for i := range uint64(maxFormerCode + 5) {
		c.complete(nil, 1<<41)
		c.observe([]event.KernelCode{{KTime: event.KTime(1<<40 + i), Start: 0, End: 1, Name: "y"}})
	}
	c.complete(nil, 1<<41)
	require.Len(t, c.former, maxFormerCode)
	require.EqualValues(t, 15, c.dropped)
}

// TestKernelIsReadAgainForModules: an address in a place where no code was known asks for
// the list, once in a pause that grows.
func TestKernelIsReadAgainForModules(t *testing.T) {
	list := "ffffffff81000000 T _stext\nffffffff81000100 T work\nffffffff82000000 T _etext\n"
	k, err := symbol.ReadKallsyms(strings.NewReader(list), nil)
	require.NoError(t, err)
	p := newPipeline()
	p.KernelLoaded(KernelAnswer{Symbols: k})
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
	p.KernelLoaded(KernelAnswer{Symbols: k})
	require.False(t, hit(900_000*ms, module+6))
	p.KernelLoaded(KernelAnswer{Symbols: nil})
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
	p.KernelLoaded(KernelAnswer{Symbols: k.Nameless(), BuildID: "abc"})
	p.Batch(batch(sampleIn(1100*ms, at+8)))
	p.Batch(&event.Batch{Kernel: []event.KernelCode{{KTime: 1050 * ms, Start: at, End: at + 0x80, Name: "bpf_prog_1_a", BPF: true}}})
	w := p.Complete(2000 * ms)
	require.Equal(t, profile.Location{
		Mapping: profile.Mapping{Filename: "[kernel.kallsyms]", Start: 0xffffffff81000000, Limit: 0xffffffff82000000, GNUBuildID: "abc"},
		Address: 0xffffffff81000110, FrameType: "kernel",
	}, w[0].Resolve(profile.Frame{Binary: kernel, Offset: 0xffffffff81000110}))
	require.Equal(t, profile.Location{Mapping: profile.Mapping{Filename: "[kernel.kallsyms]"}, Address: at + 8, FrameType: "kernel"},
		w[0].Resolve(profile.Frame{Binary: firstMade, Offset: at + 8}))
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
	require.Empty(t, p.kernel.former)
}

// bpfCode is a record of a program at an address.
func bpfCode(k event.KTime, at uint64, name string, gone bool) event.KernelCode {
	return event.KernelCode{KTime: k, Start: at, End: at + 0x80, Name: name, BPF: true, Gone: gone}
}

// When records were lost the symbols are read again, and what is not among them has gone.
func TestLostRecordsOfKernelCodeAreMadeUpFor(t *testing.T) {
	const at = 0xffffffffc0001000
	p := newPipeline()
	p.KernelLoaded(KernelAnswer{Symbols: kernelSymbols(t, "")})
	p.Batch(&event.Batch{Kernel: []event.KernelCode{
		bpfCode(1100*ms, at, "bpf_prog_1_a", false), bpfCode(1200*ms, at+0x1000, "bpf_prog_2_b", false)}})
	p.Complete(1500 * ms)
	require.False(t, p.KernelRequested())
	p.Doubt(1600 * ms)
	p.Complete(1700 * ms)
	require.True(t, p.KernelRequested())
	p.Doubt(1800 * ms)
	p.Complete(1900 * ms)
	require.False(t, p.KernelRequested(), "once in a minute")
	p.KernelLoaded(KernelAnswer{Symbols: kernelSymbols(t, "ffffffffc0001000 t bpf_prog_3_c\t[bpf]\nffffffffc0002000 t bpf_prog_2_b\t[bpf]\n"), From: 2900 * ms})
	p.Batch(batch(sampleIn(5100*ms, at+8), sampleIn(5200*ms, at+0x1008), sampleIn(5300*ms, at+0x1108)))
	require.Equal(t, map[event.KTime]string{
		5100 * ms: "[bpf] bpf_prog_3_c", 5200 * ms: "[bpf] bpf_prog_2_b", 5300 * ms: "[bpf] bpf_prog_2_b",
	}, kernelNames(t, p.Flush(5400*ms)))
	p.Complete(70_000 * ms)
	require.True(t, p.KernelRequested(), "for what was lost meanwhile")
	p.KernelLoaded(KernelAnswer{})
	p.Complete(100_000 * ms)
	require.False(t, p.KernelRequested())
	p.Complete(140_000 * ms)
	require.True(t, p.KernelRequested(), "they could not be read")
}

// What was dropped before the symbols were read again had its name until then.
func TestKernelCodeThatWentBeforeSymbolsWereReadHadItsName(t *testing.T) {
	const at = 0xffffffffc0001000
	p := newPipeline()
	p.KernelLoaded(KernelAnswer{Symbols: kernelSymbols(t, "")})
	p.Batch(&event.Batch{Kernel: []event.KernelCode{bpfCode(1100*ms, at, "bpf_prog_1_a", false)}})
	p.Complete(3100 * ms)
	p.Batch(&event.Batch{Kernel: []event.KernelCode{bpfCode(3400*ms, at, "bpf_prog_1_a", true)}})
	p.Complete(3500 * ms)
	p.KernelLoaded(KernelAnswer{Symbols: kernelSymbols(t, ""), From: 3450 * ms})
	p.Batch(batch(sampleIn(3600*ms, at+8), sampleIn(4100*ms, at+8)))
	require.Equal(t, map[event.KTime]string{3600 * ms: "[bpf] bpf_prog_1_a", 4100 * ms: "[kernel.kallsyms]"},
		kernelNames(t, p.Flush(4200*ms)))
}

// A program that was dropped while the symbols were being read does not come back with them.
func TestKernelCodeThatGoesWhileSymbolsAreReadIsGone(t *testing.T) {
	const at = 0xffffffffc0001000
	list := kernelSymbols(t, "ffffffffc0001000 t bpf_prog_1_old\t[bpf]\n")
	for name, before := range map[string]*symbol.Kernel{"for the first time": nil, "again": kernelSymbols(t, "")} {
		p := newPipeline()
		if before != nil {
			p.KernelLoaded(KernelAnswer{Symbols: before})
			p.Doubt(1100 * ms)
			p.Complete(1200 * ms)
			require.True(t, p.KernelRequested(), name)
		}
		p.Batch(&event.Batch{Kernel: []event.KernelCode{bpfCode(1500*ms, at, "bpf_prog_1_old", true)}})
		p.Complete(4100 * ms)
		p.KernelLoaded(KernelAnswer{Symbols: list, From: 1450 * ms})
		p.Batch(batch(sampleIn(4200*ms, at+8), sampleIn(5200*ms, at+8)))
		require.Equal(t, map[event.KTime]string{4200 * ms: "[kernel.kallsyms]", 5200 * ms: "[kernel.kallsyms]"},
			kernelNames(t, p.Flush(5400*ms)), name)
	}
}

// Modules come and go without a record: when others are loaded the symbols are read again.
func TestOtherModulesHaveTheSymbolsReadAgain(t *testing.T) {
	p := newPipeline()
	require.False(t, p.ModulesRequested())
	p.KernelLoaded(KernelAnswer{Symbols: kernelSymbols(t, ""), Modules: 1})
	p.Complete(2100 * ms)
	require.True(t, p.ModulesRequested())
	require.False(t, p.ModulesRequested(), "once in a window")
	p.ModulesFound(1)
	p.Complete(3100 * ms)
	require.False(t, p.KernelRequested())
	require.True(t, p.ModulesRequested())
	p.ModulesFound(2)
	p.Complete(3200 * ms)
	require.True(t, p.KernelRequested())
	p.ModulesFound(2) // the symbols that are being read have them
	p.KernelLoaded(KernelAnswer{Symbols: kernelSymbols(t, ""), Modules: 2})
	p.Complete(70_000 * ms)
	require.True(t, p.ModulesRequested())
	p.ModulesFound(2)
	p.Complete(140_000 * ms)
	require.False(t, p.KernelRequested())

	p.KernelLoaded(KernelAnswer{Symbols: kernelSymbols(t, "").Nameless()})
	p.Complete(150_000 * ms)
	require.False(t, p.ModulesRequested(), "nothing is to be named")
}

// What finds no room has the symbols read again, so that no other name stays.
func TestKernelCodeWithoutRoomHasTheSymbolsReadAgain(t *testing.T) {
	p := newPipeline()
	p.KernelLoaded(KernelAnswer{Symbols: kernelSymbols(t, "")})
	for i := range uint64(maxKernelCode + 1) {
		p.Batch(&event.Batch{Kernel: []event.KernelCode{bpfCode(1100*ms, i<<12, "x", false)}})
		if i%1000 == 0 {
			p.Complete(1100*ms + event.KTime(i))
		}
	}
	p.Complete(1900 * ms)
	require.True(t, p.KernelRequested())
}
