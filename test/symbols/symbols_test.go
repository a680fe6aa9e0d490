// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package symbols

import (
	"debug/elf"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	// few is how many addresses of each file every run of the tests compares.
	few = 2000
	// agreement is the share of them about which both have to be right.
	agreement = 0.999
)

// counts are the addresses of a file by class.
type counts [Classes]int

func (c counts) total() (n int) {
	for _, k := range c {
		n += k
	}
	return n
}

func (c counts) agreement() float64 {
	n := 0
	for class, k := range c {
		if Class(class).Agrees() {
			n += k
		}
	}
	return float64(n) / float64(c.total())
}

func TestAgainstSymbolizer(t *testing.T) {
	for _, s := range subjects {
		t.Run(s.name, func(t *testing.T) {
			if s.large || testing.Short() {
				t.Skip("for the document only")
			}
			_, err := exec.LookPath(Tool)
			need(t, Tool, err)
			c := compare(t, s.build(t), few)
			assert.GreaterOrEqual(t, c.agreement(), agreement, "%v", c)
		})
	}
}

// compare names random addresses of a file's code.
func compare(t *testing.T, file string, n int) (out counts) {
	t.Helper()
	p, err := Open(file)
	require.NoError(t, err)
	defer p.Close()
	addresses := randomAddresses(t, file, n)
	require.NoError(t, p.Prepare(addresses))
	theirs, err := Ask(file, addresses)
	require.NoError(t, err)
	files := []string{}
	for _, f := range p.open {
		files = append(files, f.Name())
	}
	starts, err := Symbols(files...)
	require.NoError(t, err)
	for i, addr := range addresses {
		ours := p.Name(addr)
		class := starts.Compare(addr, ours, theirs[i])
		out[class]++
		if !class.Agrees() && out[class] <= 3 {
			t.Logf("%#x is %v:\n%s%s", addr, class, text("ours", ours), text("theirs", theirs[i]))
		}
	}
	t.Log(out)
	return out
}

func text(who string, frames []Frame) (out string) {
	for _, f := range frames {
		out += fmt.Sprintf("  %s %v\n", who, f)
	}
	return out
}

// randomAddresses are in the sections of code, each as likely as any other.
func randomAddresses(t testing.TB, file string, n int) []uint64 {
	t.Helper()
	f, err := elf.Open(file)
	require.NoError(t, err)
	defer f.Close()
	var code []*elf.Section
	total := uint64(0)
	for _, s := range f.Sections {
		if s.Flags&elf.SHF_EXECINSTR != 0 && s.Flags&elf.SHF_ALLOC != 0 {
			code, total = append(code, s), total+s.Size
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	out := make([]uint64, n)
	for i := range out {
		k := r.Uint64N(total)
		for _, s := range code {
			if k < s.Size {
				out[i] = s.Addr + k
				break
			}
			k -= s.Size
		}
	}
	return out
}
