// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package symbol

import (
	"bytes"
	"debug/elf"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestName(t *testing.T) {
	const global, local, weak = elf.STB_GLOBAL, elf.STB_LOCAL, elf.STB_WEAK
	for name, c := range map[string]struct {
		symtab, dynsym []testSymbol
		text           extent
		want           map[uint64]string // by offset; "" is no name
	}{
		"sized": {
			symtab: []testSymbol{fn("b", 0x20, 0x10, global), fn("a", 0x00, 0x10, local)},
			want:   map[uint64]string{0: "a", 0xf: "a", 0x10: "", 0x1f: "", 0x20: "b", 0x2f: "b", 0x30: ""},
		},
		"both tables": {
			symtab: []testSymbol{fn("a", 0, 8, local)}, dynsym: []testSymbol{fn("b", 8, 8, global)},
			want: map[uint64]string{0: "a", 8: "b"},
		},
		"binding": {
			symtab: []testSymbol{fn("weak", 0, 8, weak), fn("local", 0, 8, local), fn("global", 0, 8, global),
				fn("weak2", 8, 8, weak), fn("local2", 8, 8, local)},
			want: map[uint64]string{0: "global", 7: "global", 8: "local2"},
		},
		"underscores, then length": {
			symtab: []testSymbol{fn("__m", 0, 8, global), fn("mmm", 0, 8, global), fn("mm", 0, 8, global)},
			want:   map[uint64]string{0: "mm"},
		},
		"longer alias names the rest": {
			symtab: []testSymbol{fn("global", 0, 4, global), fn("local", 0, 8, local)},
			want:   map[uint64]string{3: "global", 4: "local", 8: ""},
		},
		"nested": {
			symtab: []testSymbol{fn("outer", 0, 0x30, global), fn("inner", 0x10, 0x10, local)},
			want:   map[uint64]string{0xf: "outer", 0x10: "inner", 0x1f: "inner", 0x20: "outer", 0x30: ""},
		},
		"overlapping": {
			symtab: []testSymbol{fn("first", 0, 0x20, global), fn("second", 0x10, 0x20, global)},
			want:   map[uint64]string{0xf: "first", 0x10: "second", 0x2f: "second", 0x30: ""},
		},
		"no size reaches to the next": {
			symtab: []testSymbol{fn("a", 0, 0, global), fn("b", 0x10, 4, global), fn("c", 0x20, 0, local)},
			want:   map[uint64]string{0: "a", 0xf: "a", 0x10: "b", 0x14: "", 0x20: "c", codeSize - 1: "c", codeSize: ""},
		},
		"no size reaches to the end of its section": {
			symtab: []testSymbol{fn("a", 0, 0, local), fn("outside", 0x80, 0, global)},
			text:   extent{codeAddress, codeAddress + 0x40},
			want:   map[uint64]string{0x3f: "a", 0x40: "", 0x80: ""},
		},
		"no size takes that of its alias": {
			symtab: []testSymbol{fn("g", 0, 0, global), fn("l", 0, 4, local)},
			want:   map[uint64]string{0: "g", 3: "g", 4: ""},
		},
		"no size inside another": {
			symtab: []testSymbol{fn("f", 0, 0x20, global), fn("label", 0x10, 0, local), fn("g", 0x40, 4, global)},
			want:   map[uint64]string{0xf: "f", 0x10: "label", 0x1f: "label", 0x20: "", 0x40: "g"},
		},
		"versions": {
			symtab: []testSymbol{fn("memcpy@@GLIBC_2.14", 0, 8, global), fn("old@V1", 8, 8, global),
				fn("@odd", 0x10, 8, global), fn(`type:.eq.struct { j "a@b" }`, 0x18, 8, global), fn("end@", 0x20, 8, global)},
			want: map[uint64]string{0: "memcpy", 8: "old", 0x10: "@odd", 0x18: `type:.eq.struct { j "a@b" }`, 0x20: "end@"},
		},
		"not functions": {
			symtab: []testSymbol{
				{name: "data", value: codeAddress, size: 8, kind: elf.STT_OBJECT},
				{name: "label", value: codeAddress, kind: elf.STT_NOTYPE},
				{name: "import", value: codeAddress, size: 8, kind: elf.STT_FUNC, undefined: true},
				{name: "elsewhere", value: 0x10, size: 8, kind: elf.STT_FUNC},
				{name: "", value: codeAddress, size: 8, kind: elf.STT_FUNC},
				{name: "resolver", value: codeAddress + 0x10, size: 8, kind: elf.STT_GNU_IFUNC},
			},
			want: map[uint64]string{0: "", 0x10: "resolver"},
		},
		"functions without a type": {
			symtab: []testSymbol{
				{name: "assembly", value: codeAddress, size: 0x10, kind: elf.STT_NOTYPE, bind: global},
				{name: "label", value: codeAddress + 8, kind: elf.STT_NOTYPE, bind: global},
				{name: "untyped", value: codeAddress + 0x20, size: 0x10, kind: elf.STT_NOTYPE, bind: global},
				fn("typed", 0x20, 8, weak),
			},
			want: map[uint64]string{0: "assembly", 0xf: "assembly", 0x10: "", 0x20: "typed", 0x27: "typed", 0x28: "untyped", 0x30: ""},
		},
		"size beyond the segment": {
			symtab: []testSymbol{fn("f", 0x10, 1<<63, global), fn("g", 0x20, 1<<64-1, global)},
			want:   map[uint64]string{0x10: "f", 0x20: "g", codeSize - 1: "g", codeSize: ""},
		},
		"a long name is cut": {
			symtab: []testSymbol{fn(strings.Repeat("n", 2*maxName), 0, 8, global)},
			want:   map[uint64]string{0: strings.Repeat("n", maxName)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := read(t, elfBuilder{symtab: c.symtab, dynsym: c.dynsym, text: c.text})
			for offset, want := range c.want {
				got, ok := f.Name(codeAddress + offset)
				assert.Equal(t, want, got, "%#x", offset)
				assert.Equal(t, want != "", ok, "%#x", offset)
			}
			_, ok := f.Name(codeAddress - 1)
			assert.False(t, ok)
		})
	}
}

// naive finds a name the slow way: of all symbols that cover addr, the last in
// order of precedence.
func naive(symbols []testSymbol, addr uint64) string {
	order := func(s testSymbol) function {
		info := elf.ST_INFO(s.bind, s.kind)
		return function{start: s.value, rank: rank(info, []byte(s.name)), length: uint16(len(s.name))}
	}
	best, name := function{}, ""
	for _, s := range symbols {
		if addr < s.value || addr-s.value >= s.size {
			continue
		}
		if f := order(s); name == "" || precedence(best, f) < 0 {
			best, name = f, s.name
		}
	}
	return name
}

func TestNameAgainstNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		symbols := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) testSymbol {
			return fn(strings.Repeat("_", rapid.IntRange(0, 2).Draw(t, "underscores")),
				rapid.Uint64Range(0, 40).Draw(t, "start"), rapid.Uint64Range(1, 30).Draw(t, "size"),
				rapid.SampledFrom([]elf.SymBind{elf.STB_LOCAL, elf.STB_GLOBAL, elf.STB_WEAK}).Draw(t, "bind"))
		}), 1, 20).Draw(t, "symbols")
		for i := range symbols {
			symbols[i].name += strings.Repeat("n", i+1) // all of different length
		}
		data := elfBuilder{symtab: symbols}.build()
		f, err := Read(bytes.NewReader(data), int64(len(data)), everything)
		if err != nil {
			t.Fatal(err)
		}
		for addr := uint64(codeAddress); addr < codeAddress+80; addr++ {
			got, _ := f.Name(addr)
			if want := naive(symbols, addr); got != want {
				t.Fatalf("%#x: got %q, want %q", addr, got, want)
			}
		}
	})
}

// TestWithoutSizeInAStrippedFile: what follows a function without size may be of one that
// was stripped.
func TestWithoutSizeInAStrippedFile(t *testing.T) {
	symbols := []testSymbol{fn("sized", 0, 0x10, elf.STB_GLOBAL), fn("asm", 0x80, 0, elf.STB_GLOBAL)}
	names := func(b elfBuilder) (out []string) {
		f := read(t, b)
		for _, at := range []uint64{0, 0x10, 0x80, 0x90} {
			name, _ := f.Name(codeAddress + at)
			out = append(out, name)
		}
		return out
	}
	static := fn("static", 0x40, 0x10, elf.STB_LOCAL)
	assert.Equal(t, []string{"sized", "", "asm", "asm"}, names(elfBuilder{symtab: append(symbols, static)}))
	stripped := elfBuilder{dynsym: symbols, sections: func(s []elf.Section64) { s[secSymtab].Type = uint32(elf.SHT_NULL) }}
	assert.Equal(t, []string{"sized", "", "", ""}, names(stripped))
	of := testSymbol{name: "main.c", kind: elf.STT_FILE, bind: elf.STB_LOCAL}
	object := testSymbol{name: "_DYNAMIC", value: codeAddress, kind: elf.STT_OBJECT, bind: elf.STB_LOCAL}
	hidden := fn("_init", 0x40, 0x10, elf.STB_LOCAL)
	hidden.visibility = elf.STV_HIDDEN
	assert.Equal(t, []string{"sized", "", "", ""}, names(elfBuilder{symtab: append(symbols, of, object, hidden)}),
		"what strip -x and ld -x leave of local symbols")
}

// mixed is a program of an assembly function without size, and behind it a static C function.
var mixed = map[string]string{
	"a.s": `
	.text
	.globl asm_entry
	.type asm_entry, %function
asm_entry:
	nop
	ret
	.section .note.GNU-stack, "", %progbits
`,
	"p.c": `
void asm_entry(void);
static int __attribute__((noinline)) inner(volatile int n) { asm_entry(); return n * 7; }
int __attribute__((noinline)) outer(int n) { return inner(n) * 2; }
int main(int argc, char **argv) { return outer(argc); }
`,
}

// TestAssemblyBesideStaticFunctions: the code of a static function whose symbol was removed is
// not that of the assembly function before it. Where it was not, both have their names.
func TestAssemblyBesideStaticFunctions(t *testing.T) {
	for name, c := range map[string]struct {
		compiler, linker, strip []string
		whole                   bool
	}{
		"whole":    {compiler: []string{"gcc"}, whole: true},
		"strip -g": {compiler: []string{"gcc"}, strip: []string{"-g"}, whole: true},
		"strip -x": {compiler: []string{"gcc"}, strip: []string{"-x"}},
		"ld -x":    {compiler: []string{"gcc"}, linker: []string{"-Wl,-x"}},
		"alone":    {compiler: []string{"gcc", "-static", "-nostdlib", "-Wl,-emain"}, whole: true},
		"musl":     {compiler: []string{"musl-gcc", "-static"}, whole: true},
		"musl -g":  {compiler: []string{"musl-gcc", "-static"}, strip: []string{"-g"}, whole: true},
		"musl -x":  {compiler: []string{"musl-gcc", "-static"}, strip: []string{"-x"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range mixed {
				require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600))
			}
			build := slices.Concat(c.compiler, []string{"-O1", "-o", "p", "a.s", "p.c"})
			run(t, dir, build[0], build[1:]...)
			all := withoutSize(t, filepath.Join(dir, "p"))
			require.Contains(t, all, "asm_entry")
			inner := functionsOf(t, filepath.Join(dir, "p"))["inner"]

			run(t, dir, build[0], append(build[1:], c.linker...)...)
			if c.strip != nil {
				run(t, dir, "strip", append(c.strip, "p")...)
			}
			f := readPath(t, filepath.Join(dir, "p"))
			got, _ := f.Name(inner)
			assert.Equal(t, map[bool]string{true: "inner"}[c.whole], got)
			for name, addr := range all {
				got, _ := f.Name(addr)
				assert.Equal(t, map[bool]string{true: name}[c.whole], got)
			}
		})
	}
}

// withoutSize returns the functions of a file that have no size, with their addresses.
func withoutSize(t *testing.T, path string) map[string]uint64 {
	f, err := elf.Open(path)
	require.NoError(t, err)
	defer f.Close()
	symbols, err := f.Symbols()
	require.NoError(t, err)
	out := map[string]uint64{}
	for _, s := range symbols {
		if elf.ST_TYPE(s.Info) == elf.STT_FUNC && s.Section != elf.SHN_UNDEF && s.Size == 0 {
			out[s.Name] = s.Value
		}
	}
	return out
}
