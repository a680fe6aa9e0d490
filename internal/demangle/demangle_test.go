// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package demangle

import (
	"debug/elf"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
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

// hostile are symbols that take the library time or memory far more than in proportion to
// their length.
func hostile() map[string]string {
	repeat := strings.Repeat
	doubled := func(n int) string { // each pair is of two of the one before
		s := "_Z1fIiEvSt4pairIT_T_E"
		for i := range n {
			id := strings.ToUpper(strconv.FormatInt(int64(2*i+3), 36))
			s += "St4pairIS" + id + "_S" + id + "_E"
		}
		return s
	}
	return map[string]string{
		"of exponential size":     "_Z1fI" + repeat("St4pairI", 40) + "i" + repeat("S_E", 40) + "E",
		"nested":                  "_Z1f" + repeat("P", maxSymbol-10) + "i",
		"nested and damaged":      "_Z" + repeat("N", maxSymbol-3),
		"nested, Rust":            "_R" + repeat("I", maxSymbol-3),
		"qualifiers":              "_Z1f" + repeat("K", maxSymbol-10) + "i",
		"within functions":        "_Z" + repeat("Z", 1000) + "4f000v" + repeat("E1a", 1000),
		"within some functions":   "_Z" + repeat("Z", 32) + "4f000" + repeat("v", 3900) + repeat("E1a", 32),
		"packs":                   "_Z1fIJ" + repeat("i", 1000) + "EEv" + repeat("DpT_", 700),
		"some packs":              "_Z1fIJ" + repeat("i", 1000) + "EEv" + repeat("DpT_", 16),
		"a long pack":             "_Z1fIJ" + repeat("i", 4000) + "EEvDpT_",
		"packs in an expression":  "_Z1fIJ" + repeat("i", 1000) + "EEvDTcl1g" + repeat("spT_", 24) + "EE",
		"references":              doubled(16),
		"many references":         doubled(200),
		"few references":          doubled(10),
		"conversions":             "_Z1f" + repeat("N1acvT_I", 16) + "i" + repeat("EE", 16),
		"many conversions":        "_Z1f" + repeat("N1acvT_I", 300) + "i" + repeat("EE", 300),
		"conversions and damaged": "_Z1f" + repeat("N1acvT_I", 500),
		"references, Rust":        "_RINvC1a1fTB0_" + repeat("TB0_B0_", 500) + "E",
	}
}

func TestHostileNames(t *testing.T) {
	for name, symbol := range hostile() {
		for _, m := range []Mode{Simplified, Full} {
			t.Run(name+"/"+string(m), func(t *testing.T) {
				require.LessOrEqual(t, len(symbol), maxSymbol)
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				start := time.Now()
				got := New(m)(symbol)
				took := time.Since(start)
				runtime.ReadMemStats(&after)
				require.LessOrEqual(t, len(got), max(len(symbol), 1<<maxNameBits))
				require.Less(t, took, time.Second)
				require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(256<<20))
			})
		}
	}
	long := "_Z" + strings.Repeat("N", maxSymbol)
	require.Equal(t, long, New(Full)(long))
}

// What may take long is left as it is, or simplified; the rest is not.
func TestCostlyNames(t *testing.T) {
	all := hostile()
	for _, name := range []string{"within functions", "packs", "many conversions"} {
		require.Equal(t, all[name], New(Full)(all[name]), name)
	}
	for _, name := range []string{"references", "some packs", "a long pack", "packs in an expression"} {
		require.Equal(t, "f", New(Full)(all[name]), name)
	}
	for symbol, want := range map[string]string{
		"_ZZZ4f000vE1aE1b":                                 "f000()::a::b",
		"_Z1fIJiiEEvDpT_DpT_":                              "void f<int, int>(int, int, int, int)",
		"_ZN1acvT_IiEEv":                                   "a::operator int<int>()",
		"_Z1fIiEvSt4pairIT_T_ESt4pairIS3_S3_E":             "void f<int>(std::pair<int, int>, std::pair<std::pair<int, int>, std::pair<int, int> >)",
		"_ZN2cv3MatC1ERKS0_":                               "cv::Mat::Mat(cv::Mat const&)",
		"_ZSt9has_facetISt5ctypeIcEEbRKSt6locale":          "bool std::has_facet<std::ctype<char> >(std::locale const&)",
		"_ZN4core9panicking9panic_fmt17h0123456789abcdefE": "core::panicking::panic_fmt",
	} {
		require.Equal(t, want, New(Full)(symbol))
	}
}

// Each piece may come as often as real symbols need, with room to spare, and no more.
func TestPiecesThatAreRare(t *testing.T) {
	repeat := strings.Repeat
	symbols := map[string]func(n int) string{
		"Z":  func(n int) string { return "_Z" + repeat("Z", n-1) + "4f000v" + repeat("E1a", n-1) }, // and that of _Z
		"Dp": func(n int) string { return "_Z1fIJiiEEv" + repeat("DpT_", n) },
		"sp": func(n int) string { return "_Z1fIJiiEEvDTcl1g" + repeat("spT_", n) + "EE" },
		"cv": func(n int) string { return "_Z1f" + repeat("N1acvT_I", n) + "i" + repeat("EE", n) },
		"T":  func(n int) string { return "_Z1fIiEv" + repeat("T_", n) },
	}
	most := map[string]int{"Z": 32, "Dp": 16, "sp": 24, "cv": 8, "T": 64}
	require.Len(t, symbols, len(rare))
	for piece, n := range most {
		require.False(t, isCostly(symbols[piece](n)), piece)
		costly := symbols[piece](n + 1)
		require.Equal(t, costly, New(Simplified)(costly), piece)
	}
}

func TestWhatIsKeptIsBounded(t *testing.T) {
	n := &Names{full: true, kept: map[string]string{}}
	for i := range 2*maxKept + 5 {
		symbol := fmt.Sprintf("_Zx%d%s", i, strings.Repeat("x", i%3000))
		require.Equal(t, symbol, n.name(symbol))
		require.LessOrEqual(t, len(n.kept), maxKept)
		require.LessOrEqual(t, n.bytes, maxKeptBytes)
	}
	bytes := 0
	for symbol, name := range n.kept {
		bytes += len(symbol) + len(name)
	}
	require.Equal(t, bytes, n.bytes)
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
	for _, symbol := range mangledNames {
		require.False(t, isCostly(symbol) || isCostlyInFull(symbol), symbol)
	}
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
