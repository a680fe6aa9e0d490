// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package gosymbol

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/elffile"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
)

const (
	// addresses is how many random addresses of each program are compared.
	addresses = 50_000
	// agreement is the share of them that must be right.
	agreement = 0.999
	// goRoots names a variable with roots of further Go installations to test
	// with, separated by colons.
	goRoots = "GOSYMBOL_GOROOTS"
)

// TestAgainstRuntime asks programs about addresses of themselves.
func TestAgainstRuntime(t *testing.T) {
	if testing.Short() {
		t.Skip("builds programs")
	}
	builds := []struct {
		name  string
		cgo   bool
		flags []string
	}{
		{name: "plain"},
		{name: "stripped", flags: []string{"-ldflags=-s -w"}},
		{name: "trimpath", flags: []string{"-trimpath"}},
		{name: "pie", flags: []string{"-buildmode=pie"}},
		{name: "pie-stripped", flags: []string{"-buildmode=pie", "-ldflags=-s -w"}},
		{name: "external", cgo: true, flags: []string{"-ldflags=-linkmode=external"}},
		{name: "external-pie", cgo: true, flags: []string{"-buildmode=pie", "-ldflags=-linkmode=external -s -w"}},
	}
	roots := append([]string{goRoot(t)}, filepath.SplitList(os.Getenv(goRoots))...)
	for i, root := range roots {
		for _, b := range builds {
			t.Run(filepath.Base(root)+"/"+b.name, func(t *testing.T) {
				if _, err := exec.LookPath("gcc"); b.cgo && err != nil {
					roottest.Lacks(t, "needs a C compiler")
				}
				compareWithRuntime(t, buildOracle(t, root, i == 0, b.cgo, b.flags))
			})
		}
	}
}

// goRoot is the root of the Go installation in use.
func goRoot(tb testing.TB) string {
	tb.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		tb.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// buildOracle builds testdata/oracle.
func buildOracle(t *testing.T, root string, host, cgo bool, flags []string) string {
	t.Helper()
	dir := t.TempDir()
	files, err := filepath.Glob("testdata/oracle/*")
	if err != nil || len(files) == 0 {
		t.Fatal("no program", err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, filepath.Base(f)), b)
	}
	if cgo { // without which old versions do not link by C's linker
		write(t, filepath.Join(dir, "cgo.go"), []byte(
			"package main\n\n// static int one(void) { return 1; }\nimport \"C\"\n\nfunc init() { C.one() }\n"))

		if err := os.Remove(filepath.Join(dir, "oracle.s")); err != nil {
			t.Fatal(err)
		}
	}
	version := "1.18"
	if strings.Contains(root, "1.16") || strings.Contains(root, "1.17") {
		version = "1.16"
	}
	write(t, filepath.Join(dir, "go.mod"), []byte("module oracle\n\ngo "+version+"\n"))
	path := filepath.Join(dir, "oracle.exe")
	args := append([]string{"build", "-o", path}, flags...)
	cmd := exec.Command(filepath.Join(root, "bin", "go"), append(args, ".")...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOENV=off", "GOTOOLCHAIN=local", "GOWORK=off", "CGO_ENABLED=0")
	if !host {
		cmd.Env = append(cmd.Env, "GOROOT="+root)
	}
	if cgo {
		cmd.Env = append(cmd.Env, "CGO_ENABLED=1")
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	return path
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func readFile(tb testing.TB, path string) (*Table, Input) {
	tb.Helper()
	f, err := os.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { f.Close() })
	info, err := f.Stat()
	if err != nil {
		tb.Fatal(err)
	}
	img, err := elffile.Open(f, info.Size())
	if err != nil {
		tb.Fatal(path, err)
	}
	sections, err := img.Sections()
	if err != nil {
		tb.Fatal(path, err)
	}
	in, err := Locate(img, sections)
	if err != nil {
		tb.Fatal(path, err)
	}
	table, err := readAll(in)
	if err != nil {
		tb.Fatal(path, err)
	}
	if !table.inlines {
		tb.Error(path, "no inlined calls")
	}
	return table, in
}

// address returns the start of a function.
func (t *Table) address(name string) (uint64, bool) {
	for i, f := range t.funcs {
		if text(t.names, f.name) == name {
			return t.text + uint64(t.starts[i]), true
		}
	}
	return 0, false
}

// randomAddresses returns addresses of the program, and some around it.
func randomAddresses(t *Table, n int) []uint64 {
	rnd := rand.New(rand.NewPCG(1, 2))
	start, end := t.Range()
	out := []uint64{start - 1, start, end - 1, end, end + 1}
	for len(out) < n {
		out = append(out, start+rnd.Uint64N(end-start))
	}
	return out
}

func compareWithRuntime(t *testing.T, path string) {
	table, program := readFile(t, path)
	names, err := Functions(program, func(uint64, uint64, uint32) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	nameless := text(string(names), 0)
	start, ok := table.address("main.main")
	if !ok {
		t.Fatal("no main.main")
	}
	addrs := randomAddresses(table, addresses)
	var in bytes.Buffer
	for _, a := range addrs {
		fmt.Fprintf(&in, "%d\n", int64(a-start))
	}
	cmd := exec.Command(path)
	cmd.Stdin, cmd.Stderr = &in, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Scan()
	loaded, err := strconv.ParseUint(lines.Text(), 10, 64)
	if err != nil || (loaded-start)%4096 != 0 {
		t.Fatalf("main.main is at %#x, loaded to %s: %v", start, lines.Text(), err)
	}
	c := newComparison(t)
	for _, a := range addrs {
		if !lines.Scan() {
			t.Fatal("the program said too little")
		}
		want, innermost := parseFrames(lines.Text())
		got := printed(nameless, table.Frames(a, nil))
		if innermost && len(got) > 0 {
			got = got[:1]
		}
		c.add(a, got, want)
	}
	c.finish(table)
}

// parseFrames parses a line of the oracle.
func parseFrames(line string) (frames []Frame, innermost bool) {
	line, innermost = strings.CutPrefix(line, "!")
	for _, text := range strings.Split(strings.TrimSuffix(line, "\x1e"), "\x1e") {
		f := strings.Split(text, "\x1f")
		if len(f) != 3 {
			continue
		}
		n, _ := strconv.Atoi(f[2])
		if f[1] == "?" {
			f[1] = ""
		}
		frames = append(frames, Frame{Function: short(f[0]), File: f[1], Line: n})
	}
	return frames, innermost
}

// printed writes frames as the runtime does: without type arguments, and nameless
// if the name is the first of all.
func printed(nameless string, frames []Frame) []Frame {
	for i, f := range frames {
		if f.Function == nameless {
			f.Function = ""
		}
		f.Function, f.StartLine = short(f.Function), 0
		frames[i] = f
	}
	return frames
}

// short cuts type arguments, as the runtime does since Go 1.18.
func short(name string) string {
	if a, b := strings.IndexByte(name, '['), strings.LastIndexByte(name, ']'); a >= 0 && b > a {
		return name[:a] + "[...]" + name[b+1:]
	}
	return name
}

// generated says whether f is a caller that the runtime may leave out. It does
// so by marks whose values differ between versions of one format.
func generated(f Frame) bool {
	return f.File == "<autogenerated>" || f.Function == "reflect.callMethod" ||
		strings.Contains(f.Function, ".deferwrap") || strings.Contains(f.Function, ".gowrap") ||
		strings.Contains(f.Function, "·dwrap·") // before 1.18
}

// agree says whether got is want, and how many generated callers want leaves out.
func agree(got, want []Frame) (hidden int, ok bool) {
	for i, f := range got {
		switch {
		case len(want) > 0 && f == want[0]:
			want = want[1:]
		case i > 0 && generated(f):
			hidden++
		default:
			return hidden, false
		}
	}
	return hidden, len(want) == 0
}

// comparison counts agreement, and disagreement by class.
type comparison struct {
	t          *testing.T
	all, right int
	hidden     int // right, but with generated callers that the runtime leaves out
	depth      map[int]int
	wrong      map[string]int
}

func newComparison(t *testing.T) *comparison {
	return &comparison{t: t, depth: make(map[int]int), wrong: make(map[string]int)}
}

func (c *comparison) add(addr uint64, got, want []Frame) {
	c.all++
	c.depth[min(len(want), 5)]++
	hidden, ok := agree(got, want)
	if ok {
		c.right++
		c.hidden += min(hidden, 1)
		return
	}
	class := "length"
	if len(got) == len(want) {
		i := slices.IndexFunc(got, func(f Frame) bool { return !slices.Contains(want, f) })
		switch {
		case i < 0:
			class = "order"
		case got[i].Function != want[i].Function:
			class = "function"
		case got[i].File != want[i].File:
			class = "file"
		default:
			class = "line"
		}
	}
	if c.wrong[class]++; c.wrong[class] <= 3 {
		c.t.Logf("%s at %#x:\n got %v\nwant %v", class, addr, got, want)
	}
}

func (c *comparison) finish(table *Table) {
	c.t.Helper()
	share := float64(c.right) / float64(c.all)
	c.t.Logf("%d of %d addresses agree (%.4f %%), %d with hidden callers, wrong %v, by depth %v; %d functions, %d bytes each",
		c.right, c.all, 100*share, c.hidden, c.wrong, c.depth, table.Functions(), table.Bytes()/table.Functions())
	if share < agreement || c.depth[0] > 10 {
		c.t.Errorf("%.4f %% agree, %d without function", 100*share, c.depth[0])
	}
}

// TestAgainstAddr2line asks the toolchain about addresses of itself: the place of
// the innermost call and the function of the outermost.
func TestAgainstAddr2line(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a tool")
	}
	for _, name := range []string{"go", "gofmt"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(goRoot(t), "bin", name)
			table, _ := readFile(t, path)
			addrs := randomAddresses(table, addresses)[5:]
			var in bytes.Buffer
			for _, a := range addrs {
				fmt.Fprintf(&in, "%#x\n", a)
			}
			cmd := exec.Command(filepath.Join(goRoot(t), "bin", "go"), "tool", "addr2line", path)
			cmd.Stdin, cmd.Stderr = &in, os.Stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(string(out), "\n")
			c := newComparison(t)
			for i, a := range addrs {
				want := Frame{Function: lines[2*i]}
				file, line, _ := strings.Cut(lines[2*i+1], ":")
				// It has -1 for no line.
				if n, _ := strconv.Atoi(line); file != "?" && n > 0 {
					want.File, want.Line = file, n
				}
				var got []Frame
				if frames := table.Frames(a, nil); len(frames) > 0 {
					got = []Frame{{Function: frames[len(frames)-1].Function, File: frames[0].File, Line: frames[0].Line}}
				}
				c.add(a, got, []Frame{want})
			}
			c.finish(table)
		})
	}
}
