// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// liveSource is a program that sends itself a signal below functions of all
// kinds, and prints from the handler, which has a stack of its own: its registers,
// what libgcc says of its frames, the words of both stacks, and its mappings.
const liveSource = `
#define _GNU_SOURCE
#include <execinfo.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

static char alternate[1 << 16] __attribute__((aligned(16)));

static void words(uintptr_t from, uintptr_t to) {
	for (from &= ~7ul; from + 8 <= to; from += 8)
		printf("word %lx %lx\n", from, *(unsigned long *)from);
}

static void maps(uintptr_t sp) {
	char line[4096], path[4096];
	unsigned long start, end, offset;
	FILE *f = fopen("/proc/self/maps", "r");
	while (fgets(line, sizeof line, f)) {
		path[0] = 0;
		sscanf(line, "%lx-%lx %*s %lx %*s %*s %s", &start, &end, &offset, path);
		if (path[0] == '/')
			printf("map %lx %lx %lx %s\n", start, end, offset, path);
		if (sp >= start && sp < end)
			words(sp, end);
	}
}

static void handler(int sig, siginfo_t *info, void *context) {
	ucontext_t here, *there = context;
	void *frames[64];
	getcontext(&here);
	int n = backtrace(frames, 64);
	greg_t *r = here.uc_mcontext.gregs;
	printf("regs %llx %llx %llx\n", r[REG_RIP], r[REG_RSP], r[REG_RBP]);
	for (int i = 0; i < n; i++)
		printf("frame %lx\n", (unsigned long)frames[i]);
	words(r[REG_RSP], (uintptr_t)alternate + sizeof alternate);
	maps(there->uc_mcontext.gregs[REG_RSP] - 256);
	exit(0);
}

// It keeps the CFA below its frame pointer: *(rbp-8).
__attribute__((noinline)) static int sized(int n) {
	char buf[n], lines[64] __attribute__((aligned(64)));
	memset(buf, n, n);
	memset(lines, n, sizeof lines);
	raise(SIGUSR1);
	return buf[n / 2] + lines[n & 63];
}

__attribute__((noinline)) static int aligned(int n) {
	char buf[64] __attribute__((aligned(64)));
	memset(buf, n, sizeof buf);
	return sized(n) + buf[n & 63];
}

static int compare(const void *a, const void *b) { return aligned(*(const int *)a + 40) - *(const int *)b; }

int main(void) {
	stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
	struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	sigaltstack(&stack, 0);
	sigaction(SIGUSR1, &action, 0);
	int numbers[] = {3, 1, 2};
	qsort(numbers, 3, sizeof *numbers, compare);
	return 0;
}
`

// live is what the program printed.
type live struct {
	regs   Registers
	frames []uint64
	stack  memory
	maps   []mapping
	kinds  []CFA // of the rules on the way
}

type mapping struct {
	start, end, offset uint64
	path               string
}

func parseLive(t *testing.T, out string) live {
	t.Helper()
	l := live{stack: make(memory)}
	for line := range strings.Lines(out) {
		kind, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		var a, b, c uint64
		var path string
		fmt.Sscanf(rest, "%x %x %x %s", &a, &b, &c, &path)
		switch kind {
		case "regs":
			l.regs = Registers{IP: a, SP: b, FP: c}
		case "frame":
			l.frames = append(l.frames, a)
		case "word":
			l.stack[a] = b
		case "map":
			l.maps = append(l.maps, mapping{a, b, c, path})
		}
	}
	require.NotEmpty(t, l.frames, out)
	return l
}

// image is a file with its table.
type image struct {
	table *Table
	progs []*elf.Prog
}

func readImage(t *testing.T, path string) image {
	t.Helper()
	f, err := elf.Open(path)
	require.NoError(t, err)
	defer f.Close()
	return image{compilePath(t, path), f.Progs}
}

// find looks up the rule of an address of the process.
func (l *live) find(t *testing.T, images map[string]image, addr uint64) Rule {
	t.Helper()
	for _, m := range l.maps {
		if addr < m.start || addr >= m.end {
			continue
		}
		if _, ok := images[m.path]; !ok {
			images[m.path] = readImage(t, m.path)
		}
		offset := addr - m.start + m.offset
		for _, p := range images[m.path].progs {
			if p.Type == elf.PT_LOAD && p.Flags&elf.PF_X != 0 && offset >= p.Off && offset < p.Off+p.Filesz {
				rule, _ := images[m.path].table.Find(offset - p.Off + p.Vaddr)
				return rule
			}
		}
	}
	return NoInfo
}

// The stack of a process is what libgcc says it is, through a signal handler and
// the libraries, up to the end.
func TestLiveStack(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the program prints registers of amd64")
	}
	for name, flags := range map[string][]string{
		"O0":            {"-O0"},
		"O2":            {"-O2"},
		"frame pointer": {"-O2", "-fno-omit-frame-pointer"},
		"static":        {"-O2", "-static"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "prog")
			require.NoError(t, os.WriteFile(path+".c", []byte(liveSource), 0o600))
			run(t, dir, "gcc", append(flags, "-o", path, path+".c")...)
			out, err := exec.Command(path).Output()
			require.NoError(t, err)
			l := parseLive(t, string(out))
			got, end := l.walk(t)
			assert.Equal(t, ReasonEnd, end, "%v", end)
			assert.Equal(t, l.frames[1:], got[1:])
			assert.Contains(t, l.kinds, CFADerefFP, "sized")
			assert.Contains(t, l.kinds, CFADerefSP, "the handler's return")
			assert.GreaterOrEqual(t, len(got), 9, "handler, its return, raise, sized, aligned, compare, qsort, main, start")
		})
	}
}

func (l *live) walk(t *testing.T) (path []uint64, end Reason) {
	t.Helper()
	images := make(map[string]image)
	regs, before := l.regs, uint64(1) // a return address, of getcontext
	for end == ReasonOK && len(path) < 100 {
		path = append(path, regs.IP)
		rule := l.find(t, images, regs.IP-before)
		l.kinds = append(l.kinds, rule.CFA)
		regs, end = rule.Step(AMD64, regs, l.stack.read)
		before = 1
		if rule.Signal {
			before = 0
		}
	}
	return path, end
}
