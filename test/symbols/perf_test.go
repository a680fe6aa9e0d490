// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package symbols

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/symbol"
)

const (
	beginPerf = "<!-- perf: begin -->\n"
	endPerf   = "<!-- perf: end -->\n"
	kernel    = "[kernel.kallsyms]"
)

// verdict says how the receiver's name of a sample compares to that of perf.
type verdict int

const (
	samePerf verdict = iota
	aliasPerf
	copyPerf
	onlyOurs
	onlyPerf
	neither
	differentPerf

	verdicts
)

func (v verdict) String() string {
	return [...]string{"same", "alias", "copy", "only the receiver", "only perf", "neither", "different"}[v]
}

// sampled is code that perf met.
type sampled struct {
	file   string
	offset uint64 // in the file; in the kernel, the address
	name   string // "" if perf has none
}

// mapped is a mapping as perf recorded it.
type mapped struct {
	start, size, offset uint64
	file                string
}

var (
	mapLine    = regexp.MustCompile(`PERF_RECORD_MMAP2? (-?\d+)/\d+: \[(0x[0-9a-f]+)\((0x[0-9a-f]+)\) @ (0x[0-9a-f]+|0).*\]: \S*x\S* (\S+)`)
	sampleLine = regexp.MustCompile(`^\s*(\d+)\s+([0-9a-f]+) (.*) \((.*)\)$`)
)

// script reads what perf says of its samples.
func script(t *testing.T, data string) (out []sampled) {
	t.Helper()
	cmd := exec.Command("perf", "script", "-i", data, "-F", "pid,ip,sym,dso", "--show-mmap-events", "--no-demangle", "--no-inline")
	text, err := cmd.Output()
	require.NoError(t, err)
	number := func(s string) uint64 {
		n, err := strconv.ParseUint(strings.TrimPrefix(s, "0x"), 16, 64)
		require.NoError(t, err)
		return n
	}
	maps := map[string][]mapped{}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if m := mapLine.FindStringSubmatch(lines.Text()); m != nil {
			maps[m[1]] = append(maps[m[1]], mapped{number(m[2]), number(m[3]), number(m[4]), m[5]})
			continue
		}
		m := sampleLine.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		s := sampled{file: m[4], offset: number(m[2]), name: m[3]}
		if s.name == "[unknown]" {
			s.name = ""
		}
		if s.file == kernel {
			out = append(out, s)
			continue
		}
		for _, at := range slices.Backward(maps[m[1]]) {
			if s.offset >= at.start && s.offset-at.start < at.size {
				s.file, s.offset = at.file, s.offset-at.start+at.offset
				out = append(out, s)
				break
			}
		}
	}
	return out
}

// TestTheDocumentOfPerf has perf record a load, and names the same samples.
func TestTheDocumentOfPerf(t *testing.T) {
	if !*update {
		t.Skip("for the document only")
	}
	data := filepath.Join(t.TempDir(), "perf.data")
	load := fmt.Sprintf(perfLoad, cxx("g++", "-g")(t), rust(t))
	out, err := exec.Command("perf", "record", "-q", "-e", "cpu-clock", "-F", "1999", "-o", data, "sh", "-c", load).CombinedOutput()
	require.NoError(t, err, string(out))

	began := time.Now()
	samples := script(t, data)
	perfTook := time.Since(began)
	files := map[string][]sampled{}
	for _, s := range samples {
		if s.file == "[vdso]" {
			continue // is no file
		}
		files[s.file] = append(files[s.file], s)
	}
	began = time.Now()
	names := make(map[string]func(sampled) string, len(files))
	for file := range files {
		names[file] = namer(file)
	}
	ours := map[string][]string{}
	for file, all := range files {
		for _, s := range all {
			ours[file] = append(ours[file], names[file](s))
		}
	}
	took := time.Since(began)

	var rows []string
	var total [verdicts]int
	for file, all := range files {
		n := judge(t, file, all, ours[file])
		for v, k := range n {
			total[v] += k
		}
		if len(all) >= 100 {
			rows = append(rows, row(filepath.Base(file), n))
		}
	}
	slices.SortFunc(rows, func(a, b string) int { return strings.Compare(a, b) })
	var b strings.Builder
	fmt.Fprintf(&b, "\n| file")
	for v := range verdicts {
		fmt.Fprintf(&b, " | %v", v)
	}
	fmt.Fprintf(&b, " |\n|---%s|\n%s%s\n", strings.Repeat("|--:", int(verdicts)), strings.Join(rows, ""), row("all", total))
	t.Logf("%d samples of %d files: perf script took %v, the receiver's names with the files read %v", len(samples), len(files), perfTook, took)
	content, err := os.ReadFile(document)
	require.NoError(t, err)
	head, rest, ok := strings.Cut(string(content), beginPerf)
	require.True(t, ok)
	_, tail, ok := strings.Cut(rest, endPerf)
	require.True(t, ok)
	require.NoError(t, os.WriteFile(document, []byte(head+beginPerf+b.String()+endPerf+tail), 0o644))
}

// perfLoad takes the programs that are built: C++ and Rust with debug information.
const perfLoad = `
for i in $(seq 200); do %s >/dev/null; %s >/dev/null; done
seq 300000 | gzip -9 >/dev/null
python3 -c 's = 0
for i in range(6000000): s = (s * 31 + i) %% 1000003'
echo 'package main; func main() { println(1) }' >/tmp/symbols-perf.go; go vet /tmp/symbols-perf.go; rm /tmp/symbols-perf.go
echo '#include <map>
#include <string>
#include <regex>
int main() { std::regex r("a+"); return std::regex_match("aaa", r); }' | g++ -O2 -x c++ -o /dev/null -
node -e 'let s = 0; for (const end = Date.now() + 3000; Date.now() < end;) s += JSON.stringify(JSON.parse(JSON.stringify({a: [1, 2, {b: s}]}))).length'
dd if=/dev/zero of=/dev/null bs=4k count=2000000 2>/dev/null
`

func row(name string, n [verdicts]int) string {
	out := "| " + name
	for _, k := range n {
		out += fmt.Sprintf(" | %d", k)
	}
	return out + " |\n"
}

// namer returns what names the samples of a file: functions, as perf has no inlined calls
// here.
func namer(file string) func(sampled) string {
	none := func(sampled) string { return "" }
	if file == kernel {
		f, err := os.Open("/proc/kallsyms")
		if err != nil {
			return none
		}
		defer f.Close()
		k, err := symbol.ReadKallsyms(f, nil)
		if err != nil {
			return none
		}
		return func(s sampled) string {
			name, _, _ := k.Name(s.offset)
			return name
		}
	}
	p, err := Open(file)
	if p == nil || p.File == nil || err != nil && p.File.Functions() == 0 {
		return none
	}
	p.Close()
	return func(s sampled) string {
		addr, _, ok := p.File.Address(s.offset)
		if !ok {
			return ""
		}
		frames := p.File.Frames(addr, nil, nil)
		if len(frames) == 0 {
			return ""
		}
		return frames[len(frames)-1].Function
	}
}

// judge compares the names of the samples of a file.
func judge(t *testing.T, file string, all []sampled, ours []string) (n [verdicts]int) {
	t.Helper()
	starts := Starts{byName: map[string][]uint64{}}
	if file == kernel {
		starts = kernelSymbols(t)
	} else if p, _ := Open(file); p != nil {
		files := []string{}
		for _, f := range p.open {
			files = append(files, f.Name())
		}
		starts, _ = Symbols(files...)
		p.Close()
	}
	for i, s := range all {
		v := compareNames(starts, ours[i], s.name)
		n[v]++
		if (v == differentPerf || v == onlyPerf) && n[v] <= 3 {
			t.Logf("%s %#x: %q, perf says %q", file, s.offset, ours[i], s.name)
		}
	}
	return n
}

func compareNames(starts Starts, ours, theirs string) verdict {
	switch {
	case ours == "" && theirs == "":
		return neither
	case theirs == "":
		return onlyOurs
	case ours == "":
		return onlyPerf
	case ours == theirs:
		return samePerf
	}
	switch starts.names(ours, theirs) {
	case Same:
		return samePerf
	case Alias:
		return aliasPerf
	case Copy:
		return copyPerf
	}
	return differentPerf
}

// kernelSymbols are those of the kernel's list.
func kernelSymbols(t *testing.T) Starts {
	t.Helper()
	f, err := os.Open("/proc/kallsyms")
	require.NoError(t, err)
	defer f.Close()
	out := Starts{byName: map[string][]uint64{}}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		w := strings.Fields(lines.Text())
		addr, err := strconv.ParseUint(w[0], 16, 64)
		require.NoError(t, err)
		out.byName[base(w[2])] = append(out.byName[base(w[2])], addr)
	}
	return out
}
