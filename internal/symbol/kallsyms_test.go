// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package symbol

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
)

const kallsymsText = `0000000000000000 A fixed_percpu_data
ffffffff81000000 T startup_64
ffffffff81000000 T _stext
ffffffff81000000 T _text
ffffffff81000100 t helper
ffffffff81000100 T public
ffffffff81000100 W weak
ffffffff81000200 D a_table
ffffffff81000300 T __sched_text_start
ffffffff81000300 T __schedule
ffffffff81000400 T __sched_text_end
ffffffff81000410 t last
ffffffff81000500 T _etext
ffffffff82000000 t init_fn
ffffffff82000040 t __pfx_padded
ffffffff82000050 t padded
ffffffff82000060 t __pfx_alone
ffffffff82000100 T _einittext
ffffffffc0002000 t mod_last	[ext4]
ffffffffc0001000 t mod_fn	[ext4]
ffffffffc0001800 d mod_data	[ext4]
ffffffffc0001900 t bpf_prog_6deef7357e7b4530_x	[bpf]
ffffffffc8000000 t bpf_prog_0_a	[bpf]
ffffffffd0000000 t bpf_prog_1_y	[bpf]
`

func TestKernelNames(t *testing.T) {
	k, err := ReadKallsyms(strings.NewReader(kallsymsText), nil)
	require.NoError(t, err)
	for _, c := range []struct {
		addr         uint64
		name, module string
	}{
		{0, "", ""},
		{0x401000, "", ""},
		{0xffffffff80ffffff, "", ""},
		{0xffffffff81000000, "startup_64", ""},
		{0xffffffff810000ff, "startup_64", ""},
		{0xffffffff81000100, "public", ""},
		{0xffffffff81000200, "public", ""}, // data is not in the text
		{0xffffffff81000300, "__schedule", ""},
		{0xffffffff81000400, "", ""}, // behind the mark of an end
		{0xffffffff81000410, "last", ""},
		{0xffffffff810004ff, "last", ""},
		{0xffffffff81000500, "", ""},
		{0xffffffff82000000, "init_fn", ""},
		{0xffffffff82000040, "__pfx_padded", ""},
		{0xffffffff82000050, "padded", ""},
		{0xffffffff82000060, "__pfx_alone", ""},
		{0xffffffff82000100, "", ""},
		{0xffffffffc0001000, "mod_fn", "ext4"},
		{0xffffffffc0001900, "bpf_prog_6deef7357e7b4530_x", "bpf"},
		{0xffffffffc0002000, "mod_last", "ext4"},
		{0xffffffffc0001900 + 0x6ff, "bpf_prog_6deef7357e7b4530_x", "bpf"},
		{0xffffffffc0002fff, "mod_last", "ext4"},
		{0xffffffffc0003000, "", ""}, // where another module may be loaded
		{0xffffffffc8000000 + page - 1, "bpf_prog_0_a", "bpf"},
		{0xffffffffc8000000 + page, "", ""},
		{0xffffffffd0000000 + page - 1, "bpf_prog_1_y", "bpf"},
		{0xffffffffd0000000 + page, "", ""},
		{^uint64(0), "", ""},
	} {
		name, module, ok := k.Name(c.addr)
		assert.Equal(t, c.name, name, "%#x", c.addr)
		assert.Equal(t, c.module, module, "%#x", c.addr)
		assert.Equal(t, c.name != "", ok, "%#x", c.addr)
	}
	start, end := k.Text()
	assert.Equal(t, uint64(0xffffffff81000000), start)
	assert.Equal(t, uint64(0xffffffff81000500), end)
	assert.Zero(t, k.Malformed())
}

// A program of BPF whose size is known reaches as far: over pages, and not to the end of one.
func TestKallsymsWithSizesOfPrograms(t *testing.T) {
	text := "ffffffffc0001000 t bpf_prog_1_long\t[bpf]\nffffffffc0006000 t bpf_prog_2_short\t[bpf]\n" +
		"ffffffffc0006040 t bpf_prog_3_unknown\t[bpf]\nffffffffc0009000 t probe\t[m]\n" +
		"ffffffffc000b000 t bpf_prog_4_last\t[bpf]\n"
	k, err := ReadKallsyms(strings.NewReader(text), map[uint64]uint64{
		0xffffffffc0001000: 0x3001, 0xffffffffc0006000: 0x20, 0xffffffffc0009000: 0x10, 0xffffffffc000b000: 0x1100,
	})
	require.NoError(t, err)
	for addr, want := range map[uint64]string{
		0xffffffffc0001000: "bpf_prog_1_long", 0xffffffffc0004000: "bpf_prog_1_long", 0xffffffffc0004001: "",
		0xffffffffc000601f: "bpf_prog_2_short", 0xffffffffc0006020: "",
		0xffffffffc0006040: "bpf_prog_3_unknown", 0xffffffffc0006fff: "bpf_prog_3_unknown", 0xffffffffc0007000: "",
		0xffffffffc0009fff: "probe", 0xffffffffc000a000: "",
		0xffffffffc000c0ff: "bpf_prog_4_last", 0xffffffffc000c100: "",
	} {
		name, _, _ := k.Name(addr)
		assert.Equal(t, want, name, "%#x", addr)
	}
}

func TestKallsymsErrors(t *testing.T) {
	_, err := ReadKallsyms(strings.NewReader("0000000000000000 T a\n0000000000000000 t b\tt[m]\n"), nil)
	require.ErrorIs(t, err, ErrHidden)
	assert.ErrorContains(t, err, "kptr_restrict")
	assert.ErrorContains(t, err, "CAP_SYSLOG")
	for _, text := range []string{"", "\n\n", "ffffffff81000200 D a_table\n", "nonsense\n"} {
		_, err = ReadKallsyms(strings.NewReader(text), nil)
		assert.ErrorIs(t, err, ErrNoText)
	}
	broken := errors.New("broken")
	_, err = ReadKallsyms(io.MultiReader(strings.NewReader(kallsymsText), iotest.ErrReader(broken)), nil)
	assert.ErrorIs(t, err, broken)
}

func TestKallsymsMalformed(t *testing.T) {
	long := strings.Repeat("x", 3*maxLine)
	text := "zz T a\n" + "ffffffff81000000T a\n" + "1ffffffff81000000 T a\n" + "ffffffff81000000 T \n" +
		"ffffffff81000000 T " + long + "\n" + "ffffffff81000000 T \t[m]\n" + "ffffffff81000000 T right\n" + "ffffffff81000010 T cut" + long
	k, err := ReadKallsyms(iotest.OneByteReader(strings.NewReader(text)), nil)
	require.NoError(t, err)
	assert.Equal(t, 1, k.Symbols())
	assert.Equal(t, 7, k.Malformed())
	name, _, _ := k.Name(0xffffffff81000000)
	assert.Equal(t, "right", name)
}

func TestKallsymsTooManyModules(t *testing.T) {
	var text strings.Builder
	for i := range maxModules + 1 {
		fmt.Fprintf(&text, "ffffffff81000000 t f\t[m%d]\n", i)
	}
	_, err := ReadKallsyms(strings.NewReader(text.String()), nil)
	assert.ErrorContains(t, err, "modules")
}

// The kernel we run on: every function is found, under a name of its address.
func TestRealKallsyms(t *testing.T) {
	file, err := os.Open("/proc/kallsyms")
	if err != nil {
		roottest.Lacks(t, "no /proc/kallsyms")
	}
	defer file.Close()
	k, err := ReadKallsyms(file, nil)
	if errors.Is(err, ErrHidden) {
		roottest.Lacks(t, err.Error())
	}
	require.NoError(t, err)
	assert.Zero(t, k.Malformed())
	start, end := k.Text()
	assert.Less(t, start, end)
	_, err = file.Seek(0, io.SeekStart)
	require.NoError(t, err)
	checked := 0
	for addr, names := range functionsByAddress(t, file) {
		name, _, ok := k.Name(addr)
		if ok {
			checked++
			if !slices.Contains(names, name) {
				t.Fatalf("%#x is named %s, not one of %v", addr, name, names)
			}
			continue
		}
		for _, n := range names { // unnamed: where a group of functions ends
			require.True(t, isEnd([]byte(n)), "%#x %s has no name", addr, n)
		}
	}
	require.Greater(t, checked, 10000)
	t.Logf("%d functions, %d bytes, %.1f per function", k.Symbols(), k.Bytes(), float64(k.Bytes())/float64(k.Symbols()))
}

func functionsByAddress(t *testing.T, r io.Reader) map[uint64][]string {
	all := make(map[uint64][]string)
	for lines := bufio.NewScanner(r); lines.Scan(); {
		w := strings.Fields(lines.Text())
		if !strings.Contains("tTwW", w[1]) {
			continue
		}
		addr, err := strconv.ParseUint(w[0], 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		all[addr] = append(all[addr], w[2])
	}
	return all
}

// The figure of the documentation: 10 bytes per function, and what its name does not share.
func TestKernelBytes(t *testing.T) {
	var one, many strings.Builder
	for i := range 1001 {
		line := fmt.Sprintf("ffffffff8%07x T function%04d\n", i*16, i)
		if i == 0 {
			one.WriteString(line)
		}
		many.WriteString(line)
	}
	a, err := ReadKallsyms(strings.NewReader(one.String()), nil)
	require.NoError(t, err)
	b, err := ReadKallsyms(strings.NewReader(many.String()), nil)
	require.NoError(t, err)
	assert.InDelta(t, 1000*(10+2+1.2+(12+4)/16.0), b.Bytes()-a.Bytes(), 600)
}
