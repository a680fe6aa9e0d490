// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package demangle

import (
	"debug/elf"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestNames(t *testing.T) {
	for symbol, want := range map[string][2]string{ // simplified, full
		"main":                               {"main", "main"},
		"_start":                             {"_start", "_start"},
		"_Zbroken":                           {"_Zbroken", "_Zbroken"},
		"_ZNSt6vectorIiSaIiEE9push_backERKi": {"std::vector::push_back", "std::vector<int, std::allocator<int> >::push_back(int const&)"},
		"_ZN3foo3barEi.constprop.0":          {"foo::bar", "foo::bar(int) [clone .constprop.0]"},
		"_ZN4core3fmt9Formatter3pad17h0123456789abcdefE": {"core::fmt::Formatter::pad", "core::fmt::Formatter::pad"},
		"_RNvCs1234_7mycrate3foo":                        {"mycrate::foo", "mycrate::foo"},
		"_RINvMs_C3fooNtB5_3Bar3bazmEB5_":                {"<foo::Bar>::baz", "<foo::Bar>::baz::<u32>"},
		"main._Zfoo":                                     {"main._Zfoo", "main._Zfoo"},
	} {
		require.Equal(t, want[0], New(Simplified)(symbol))
		require.Equal(t, want[1], New(Full)(symbol))
	}
	require.Nil(t, New(None))
}

func TestRust(t *testing.T) {
	for symbol, want := range map[string]bool{
		"main": false, "": false, "_Z": false, "_R": false, "_RNG_init": false, "_Znwm": false, "_ZN": false,
		"_ZNSt6vectorIiSaIiEE9push_backERKi": false, "_ZN3foo17h0123456789abcdef": false, "17h0123456789abcdefE": false,
		"_ZN3foo17h0123456789abcdeXE": false, "_ZN3foo17h0123456789abcdefE": true, "_ZN3foo17h0123456789abcdefE.llvm.123": true,
		"_RNvCs1234_7mycrate3foo": true, "_RINvMs_C3fooNtB5_3Bar3bazmEB5_": true,
		"_R" + strings.Repeat("I", maxSymbol): false,
	} {
		require.Equal(t, want, Rust(symbol), symbol)
	}
}

// A name that would be of exponential size, and one that nests deeply.
func TestHostileNames(t *testing.T) {
	doubling := "_Z1fI" + strings.Repeat("St4pairI", 40) + "i" + strings.Repeat("S_E", 40) + "E"
	nested := "_Z1f" + strings.Repeat("P", maxSymbol-10) + "i"
	for _, symbol := range []string{doubling, nested, "_Z" + strings.Repeat("N", maxSymbol-3), "_R" + strings.Repeat("I", maxSymbol-3)} {
		start := time.Now()
		name := New(Full)(symbol)
		require.LessOrEqual(t, len(name), max(len(symbol), 1<<maxNameBits))
		require.Less(t, time.Since(start), 5*time.Second)
	}
	long := "_Z" + strings.Repeat("N", maxSymbol)
	require.Equal(t, long, New(Full)(long))
}

func TestWhatIsKeptIsBounded(t *testing.T) {
	n := &Names{kept: map[string]string{}}
	for i := range 2*maxKept + 5 {
		n.name("_Z" + strings.Repeat("x", i%3000) + string(rune('a'+i%26)))
		require.LessOrEqual(t, len(n.kept), maxKept)
	}
}

// The names of a real library, against another demangler.
func TestAgainstBinutils(t *testing.T) {
	library := cxxLibrary(t)
	f, err := elf.Open(library)
	require.NoError(t, err)
	defer f.Close()
	symbols, err := f.DynamicSymbols()
	require.NoError(t, err)
	var mangledNames []string
	for _, s := range symbols {
		if mangled(s.Name) && elf.ST_TYPE(s.Info) == elf.STT_FUNC && s.Section != elf.SHN_UNDEF {
			mangledNames = append(mangledNames, s.Name)
		}
	}
	require.Greater(t, len(mangledNames), 1000)
	c := exec.Command("c++filt")
	c.Stdin = strings.NewReader(strings.Join(mangledNames, "\n"))
	out, err := c.Output()
	require.NoError(t, err)
	want := strings.Split(strings.TrimSpace(string(out)), "\n")
	require.Len(t, want, len(mangledNames))
	full, differ := New(Full), 0
	for i, symbol := range mangledNames {
		if got := full(symbol); plain(got) != plain(want[i]) {
			if differ++; differ < 5 {
				t.Logf("%s: %s, not %s", symbol, got, want[i])
			}
		}
	}
	t.Logf("%d of %d names differ", differ, len(mangledNames))
	require.Less(t, differ, len(mangledNames)/1000+1)
}

// plain leaves out spaces, and abbreviates as the ABI itself does.
func plain(name string) string {
	name = strings.ReplaceAll(name, " ", "")
	for _, kind := range []string{"string", "istream", "ostream", "iostream"} {
		name = strings.ReplaceAll(name, "std::basic_"+kind+"<char,std::char_traits<char>,std::allocator<char>>", "std::"+kind)
		name = strings.ReplaceAll(name, "std::basic_"+kind+"<char,std::char_traits<char>>", "std::"+kind)
	}
	return name
}

func cxxLibrary(t *testing.T) string {
	t.Helper()
	for _, pattern := range []string{"/usr/lib/*/libstdc++.so.6", "/usr/lib64/libstdc++.so.6", "/lib/*/libstdc++.so.6"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return found[0]
		}
	}
	require.FailNow(t, "libstdc++.so.6 is missing: it comes with gcc")
	return ""
}

func FuzzNames(f *testing.F) {
	for _, s := range []string{"_ZN3foo3barEi", "_RNvCs1234_7mycrate3foo", "_Z1fIiEvv"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, symbol string) {
		for _, m := range []Mode{Simplified, Full} {
			if name := New(m)(symbol); len(name) > max(len(symbol), 1<<maxNameBits) {
				t.Fatalf("%d bytes of %d", len(name), len(symbol))
			}
		}
	})
}

func BenchmarkName(b *testing.B) {
	n := &Names{kept: map[string]string{}}
	for b.Loop() {
		clear(n.kept)
		n.name("_ZNSt6vectorIiSaIiEE9push_backERKi")
	}
}
