// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build stacks && linux

package stacks_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// program is one whose chains of calls are known.
type program struct {
	name    string
	command []string
	// chains are the true ones.
	chains []chain
	// blind is code without any unwind information, at which a stack may end.
	blind []string
	// torn are functions that overwrite the return addresses of their own frames.
	torn []string
	// interpreted: it needs a runtime that is not installed everywhere.
	interpreted bool
}

// How chains end.
const (
	dynamicBegin = "main [libc.so.6] __libc_start_main _start"
	staticBegin  = "main __libc_start_call_main __libc_start_main _start"
	threadBegin  = "[libc.so.6] [libc.so.6]" // start_thread, clone3
)

// turns are the calls of deep.c.
func turns(n int) string {
	out := times(n/2, "even odd")
	if n%2 == 1 {
		return out + "even "
	}
	return times(n/2, "odd even")
}

// builder compiles programs.
type builder struct {
	*testing.T
	dir  string
	here string
	n    int
	// twins are the files that have the symbols of stripped ones.
	twins map[string]string
}

func (b *builder) compile(name string, command ...string) string {
	b.Helper()
	b.n++
	out := filepath.Join(b.dir, fmt.Sprintf("%s-%d", name, b.n))
	cmd := exec.Command(command[0], append(command[1:len(command):len(command)], "-o", out)...)
	text, err := cmd.CombinedOutput()
	require.NoError(b, err, "%v: %s", command, text)
	return out
}

// library is the file of a library of g++, which names often lead to.
func (b *builder) library(name string) string {
	b.Helper()
	path, err := exec.Command("g++", "-print-file-name="+name).Output()
	require.NoError(b, err)
	file, err := filepath.EvalSymlinks(strings.TrimSpace(string(path)))
	require.NoError(b, err)
	return file
}

func (b *builder) source(name string) string { return filepath.Join(b.here, "testdata", name) }

func (b *builder) c(compiler string, source string, more ...string) string {
	return b.compile(compiler, append([]string{compiler, "-O2", "-g", "-fomit-frame-pointer", "-pthread", source}, more...)...)
}

// deep are the kinds of test/workloads/deep: what is above the chain of calls.
var deep = []struct {
	kind          string
	length        int
	dynamic, free string // as the C library is linked
}{
	{"plain", 10, "burn", "burn"},
	{"plain", 60, "burn", "burn"},
	{"plain", 200, "burn", "burn"},
	{"plain", 500, "burn", "burn"},
	{"recursion", 10, "burn " + times(100, "recurse"), ""},
	{"qsort", 60, "burn compare [libc.so.6] qsort_r sort", "burn compare msort_with_tmp qsort_r sort"},
	{"bsearch", 10, "burn compare bsearch search", ""},
	{"signal", 60, "burn handler [libc.so.6] kill interrupt", "burn handler __restore_rt kill interrupt"},
	{"altstack", 60, "burn handler [libc.so.6] kill interrupt interrupt_elsewhere",
		"burn handler __restore_rt kill interrupt interrupt_elsewhere"},
	{"aligned", 10, "burn align", "burn align"},
	{"vfork", 10, "burn spawn", ""},
	{"stubs", 60, "burn [] call_third [] call_second [] call_first", "burn [] call_third [] call_second [] call_first"},
}

func (b *builder) deep() (out []program) {
	source := filepath.Join(b.here, "..", "workloads", "deep", "deep.c")
	for _, compiler := range []string{"gcc", "clang-19"} {
		dynamic, static := b.c(compiler, source), b.c(compiler, source, "-static")
		for _, k := range deep {
			length := strconv.Itoa(k.length)
			out = append(out, program{
				name:    fmt.Sprintf("%s: %s, %d deep", compiler, k.kind, k.length),
				command: []string{dynamic, k.kind, length},
				chains:  []chain{links(k.dynamic, "end", turns(k.length), dynamicBegin)},
			})
			if k.free != "" {
				out = append(out, program{
					name:    fmt.Sprintf("%s, static: %s, %d deep", compiler, k.kind, k.length),
					command: []string{static, k.kind, length},
					chains:  []chain{links(k.free, "end", turns(k.length), staticBegin)},
				})
			}
		}
		out = append(out, b.leaves(compiler, dynamic)...)
	}
	return out
}

// leaves are the kinds that are sampled at more places than one.
func (b *builder) leaves(compiler, path string) []program {
	base := links("end", turns(10), dynamicBegin)
	above := func(parts ...string) chain { return append(links(parts...), base...) }
	return []program{
		{name: compiler + ": interrupted at any instruction", command: []string{path, "interrupted", "10"}, chains: []chain{
			above("pause_briefly [libc.so.6] call_tiny be_interrupted"), above("pause_briefly [libc.so.6] tiny call_tiny be_interrupted"),
			above("call_tiny be_interrupted"), above("tiny call_tiny be_interrupted"),
			above("[libc.so.6] call_tiny be_interrupted"), above("[libc.so.6] tiny call_tiny be_interrupted"),
		}},
		{name: compiler + ": ifunc", command: []string{path, "ifunc", "10"}, chains: []chain{
			above("chosen_here|plt call_chosen"), above("call_chosen"),
		}},
		{name: compiler + ": ifunc of the C library", command: []string{path, "strlen", "10"}, chains: []chain{
			above("[libc.so.6]|plt measure"), above("measure"),
		}},
		{name: compiler + ": thread", command: []string{path, "thread", "60"},
			chains: []chain{links("burn end", turns(60), "thread", threadBegin)}},
	}
}

func (b *builder) linkage() (out []program) {
	for _, compiler := range []string{"gcc", "clang-19"} {
		library := filepath.Join(b.dir, "libstep-"+compiler+".so")
		text, err := exec.Command(compiler, "-O2", "-fomit-frame-pointer", "-shared", "-fPIC", "-o", library, b.source("library.c")).CombinedOutput()
		require.NoError(b, err, "%s", text)
		for _, binding := range []string{"lazy", "now"} {
			out = append(out, program{
				name:    fmt.Sprintf("%s: PLT, bound %s", compiler, binding),
				command: []string{b.c(compiler, b.source("plt.c"), library, "-Wl,-rpath,"+b.dir, "-Wl,-z,"+binding)},
				chains:  []chain{links("step|plt call_step", dynamicBegin), links("call_step", dynamicBegin)},
			})
		}
	}
	return out
}

func (b *builder) assembly() (out []program) {
	path := b.c("gcc", b.source("assembly.c"), b.source("assembly.S"))
	for _, k := range []struct {
		name, what string
		blind      bool
	}{
		{"described", "with call frame information", false},
		{"framed", "without, with a frame pointer", false},
		{"returning", "without, that returns behind the call", false},
		{"returning_misleading", "without, that returns behind the call, with a misleading frame pointer", false},
		{"undescribed", "without", true},
		{"misleading", "without, with a misleading frame pointer", true},
	} {
		p := program{name: "assembly " + k.what, command: []string{path, k.name}, chains: []chain{links("burn", k.name, "call", dynamicBegin)}}
		if k.blind {
			p.chains, p.blind = []chain{links("burn", k.name)}, []string{k.name}
		}
		out = append(out, p)
	}
	return out
}

// unwinding are the functions of libgcc that land in a handler: before they leave they
// write the registers of the handler's frame over those that their own frame saved
// (uw_install_context_1 in libgcc/unwind-dw2.c), so for a moment nobody can tell who
// called them.
var unwinding = []string{"_Unwind_RaiseException", "_Unwind_Resume"}

func (b *builder) cplusplus() (out []program) {
	standard := "[" + filepath.Base(b.library("libstdc++.so.6")) + "]"
	libraries := "[libc.so.6]|[libgcc_s.so.1]|" + standard + "|[ld-linux-x86-64.so.2]|plt"
	for _, compiler := range []string{"g++", "clang++-19"} {
		path := b.c(compiler, b.source("program.cc"))
		run := func(kind string, chains ...chain) {
			out = append(out, program{name: compiler + ": " + kind, command: []string{path, kind}, chains: chains, torn: unwinding})
		}
		run("virtual", links("burn", times(10, "_ZN3Dog5speakEi _ZN3Cat5speakEi"), "run_virtual", dynamicBegin))
		run("lambda", links("burn ... apply ... apply run_lambda", dynamicBegin))
		run("sort", links("burn compare ... run_sort", dynamicBegin))
		run("exception",
			links("burn_briefly|"+libraries+"+", "thrower middle catcher run_exception", dynamicBegin),
			links("thrower middle catcher run_exception", dynamicBegin),
			links("burn_briefly _ZN5GuardD2Ev middle catcher run_exception", dynamicBegin),
			links("_ZN5GuardD2Ev|"+libraries+"*", "middle catcher run_exception", dynamicBegin),
			links("burn_briefly|"+libraries+"*", "catcher run_exception", dynamicBegin),
			links(libraries+"*", "run_exception", dynamicBegin))
		run("thread", links("burn ... "+standard, threadBegin))
	}
	return out
}

func (b *builder) rust() (out []program) {
	path := b.compile("rust", "rustc", "-O", "--crate-name", "program", b.source("program.rs"))
	root := "... " + dynamicBegin
	run := func(kind string, chains ...chain) {
		chains = append(chains, links("plt")) // the linker of Rust does not describe it
		out = append(out, program{name: "Rust: " + kind, command: []string{path, kind}, chains: chains, blind: []string{"plt"}, torn: unwinding})
	}
	run("chain", links("burn", times(60, "link"), root))
	run("sort", links("burn ... run_sort", root))
	run("dynamic", links("burn ... run_dynamic", root))
	run("unwind",
		links("burn_briefly thrower middle ... run_unwind", root),
		links("burn_briefly ... middle ... run_unwind", root),
		links("... thrower middle ... run_unwind", root),
		links("... middle ... run_unwind", root),
		links("... run_unwind", root))
	run("thread", links("burn ...", threadBegin))
	return out
}

func (b *builder) musl() (out []program) {
	path := b.c("musl-gcc", filepath.Join(b.here, "..", "workloads", "deep", "deep.c"), "-static")
	out = append(out,
		program{name: "musl: plain, 60 deep", command: []string{path, "plain", "60"},
			chains: []chain{links("burn end", turns(60), "main libc_start_main_stage2")}, blind: []string{"libc_start_main_stage2"}},
		program{name: "musl: signal, 60 deep", command: []string{path, "signal", "60"},
			chains: []chain{links("burn handler __restore_rt kill")}, blind: []string{"kill"}},
		program{name: "musl: thread, 60 deep", command: []string{path, "thread", "60"},
			chains: []chain{links("burn end", turns(60), "thread start")}, blind: []string{"start"}},
		program{name: "musl: qsort, 60 deep", command: []string{path, "qsort", "60"},
			chains: []chain{links("burn compare ...")}, blind: []string{"trinkle", "smoothsort", "__qsort_r", "qsort"}},
	)
	return out
}

func (b *builder) golang() (out []program) {
	const begin = "main.main runtime.main runtime.goexit"
	const call = "runtime.asmcgocall runtime.cgocall"
	ten := times(10, "main.linkGo")
	twin := b.compile("cgo", "go", "build", "-C", b.source("cgo"))
	stripped := b.compile("stripped-cgo", "strip", "--strip-all", twin)
	b.twins[stripped] = twin
	for _, path := range []string{twin, stripped} {
		name := "Go"
		if path == stripped {
			name = "Go, stripped"
		}
		run := func(kind string, chains ...chain) {
			chains = append(chains, links("... runtime.mcall|runtime.mstart"), // the runtime's own
				links("... runtime.sigtramp"))
			out = append(out, program{name: name + ": " + kind, command: []string{path, kind}, chains: chains})
		}
		// The runtime interrupts loops by a signal, to let others run.
		const preempted = "... "
		run("go", links(preempted, "main.burnGo", ten, begin))
		run("leaf", links(preempted, "main.leaf main.loop", ten, begin), links(preempted, "main.loop", ten, begin))
		run("c", links("burn", times(20, "link_c"), "...", call, "main._Cfunc_chain main.main.func1", ten, begin))
		run("callback", links(preempted, "main.burnGo", ten, "... runtime.cgocallbackg1 runtime.cgocallbackg ... runtime.cgocallback ... call_back ...", call, "main._Cfunc_call_back main.main.func2", ten, begin))
	}
	return out
}

func (b *builder) interpreters() (out []program) {
	python, err := filepath.EvalSymlinks("/usr/bin/python3")
	require.NoError(b, err)
	const java = "_ZN9JavaCalls11call_helperEP9JavaValueRK12methodHandleP17JavaCallArgumentsP10JavaThread"
	const eval, other = "_PyEval_EvalFrameDefault ", "!_PyEval_EvalFrameDefault"
	return []program{
		{name: "Python", command: []string{python, b.source("program.py")}, chains: []chain{
			links(other+"*", times(20, eval+other+"+"), eval+other+"*", "Py_BytesMain [libc.so.6] __libc_start_main _start")}},
		{name: "Node", command: []string{"node", b.source("program.js")}, interpreted: true, chains: []chain{
			links("... Builtins_InterpreterEntryTrampoline ... Builtins_JSEntry ... _ZN4node5StartEiPPc main* [libc.so.6] __libc_start_main _start"),
			links("...", "_ZN4node12_GLOBAL__N_1L20PlatformWorkerThreadEPv", threadBegin)}},
		{name: "Java", command: []string{"java", "-Xint", b.source("Program.java")}, interpreted: true, chains: []chain{
			links("... []+", java, "... JavaMain ThreadJavaMain", threadBegin),
			links("... _ZL19thread_native_entryP6Thread", threadBegin)}},
	}
}

func (b *builder) stripped() (out []program) {
	source := filepath.Join(b.here, "..", "workloads", "deep", "deep.c")
	for _, k := range []struct{ name, flag, begin string }{{"", "", dynamicBegin}, {", static", "-static", staticBegin}} {
		twin := b.c("gcc", source, strings.Fields(k.flag)...)
		path := b.compile("stripped", "strip", "--strip-all", twin)
		b.twins[path] = twin
		out = append(out, program{name: "gcc, stripped" + k.name + ": plain, 60 deep", command: []string{path, "plain", "60"},
			chains: []chain{links("burn end", turns(60), k.begin)}})
	}
	return out
}

func (b *builder) all() (out []program) {
	b.twins = map[string]string{}
	for _, build := range []func() []program{
		b.deep, b.linkage, b.assembly, b.cplusplus, b.rust, b.musl, b.stripped, b.golang, b.interpreters,
	} {
		out = append(out, build()...)
	}
	return out
}
