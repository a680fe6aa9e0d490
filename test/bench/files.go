// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// large are programs with many or large files. Each starts what it is about below a
// directory, until the context is over.
var large = []struct {
	name  string
	start func(ctx context.Context, dir string) error
}{
	{"200 static programs", startMany},
	{"chromium", startChromium},
	{"clang-19", startClang},
}

// measureFiles prints what the collector has in memory before and after large files came.
func measureFiles(binary string, d time.Duration) error {
	const hz = 97
	fmt.Printf("| program, %d Hz for %s | RSS MB before | at most | after | anonymous MB after | symbols MB | unwind tables MB | CPU s |\n", hz, d)
	fmt.Println("|---|---|---|---|---|---|---|---|")
	for _, l := range large {
		if err := measureLarge(binary, hz, d, l.name, l.start); err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
	}
	return nil
}

func measureLarge(binary string, hz int, d time.Duration, name string, start func(context.Context, string) error) (err error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	c, err := startCollector(binary, hz)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	time.Sleep(settle)
	before, err := c.read()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if err := start(ctx, dir); err != nil {
		return err
	}
	if err := c.resetPeak(); err != nil {
		return err
	}
	time.Sleep(d)
	after, err := c.read()
	if err != nil {
		return err
	}
	fmt.Printf("| %s | %.0f | %.0f | %.0f | %.0f | %.1f | %.1f | %.2f |\n", name, before.rssBytes/1e6, after.peakBytes/1e6,
		after.rssBytes/1e6, after.anonBytes/1e6, after.metrics["symbol_cache_bytes"]/1e6, after.metrics["unwind_table_bytes"]/1e6,
		(after.cpu - before.cpu).Seconds())
	return nil
}

// command starts a program that ends, with all that it started, when the context does.
func command(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }()
	return nil
}

// compile makes a file of what is read from the source.
func compile(dir, source string, args ...string) error {
	cmd := exec.Command("gcc", append([]string{"-x", "c", "-"}, args...)...)
	cmd.Dir, cmd.Stdin, cmd.Stderr = dir, strings.NewReader(source), os.Stderr
	return cmd.Run()
}

// busy is a program that takes a four hundredth of a CPU.
const busy = `
#include <time.h>
int main(void) {
	struct timespec now, end, pause = {0, 400000000};
	for (;;) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		do clock_gettime(CLOCK_MONOTONIC, &end);
		while ((end.tv_sec - now.tv_sec) * 1000000000L + end.tv_nsec - now.tv_nsec < 1000000);
		nanosleep(&pause, 0);
	}
}`

// startMany runs copies of a program, each with a build ID of its own.
func startMany(ctx context.Context, dir string) error {
	const id = "0123456789abcdef0123456789abcdef01234567"
	if err := compile(dir, busy, "-O2", "-static", "-Wl,--build-id=0x"+id, "-o", "busy"); err != nil {
		return err
	}
	program, err := os.ReadFile(filepath.Join(dir, "busy"))
	if err != nil {
		return err
	}
	at := strings.Index(string(program), "\x01\x23\x45\x67\x89\xab\xcd\xef")
	if at < 0 {
		return errors.New("the program has no build ID")
	}
	for i := range 200 {
		program[at] = byte(i)
		name := filepath.Join(dir, fmt.Sprintf("busy%d", i))
		if err := os.WriteFile(name, program, 0o700); err != nil {
			return err
		}
		if err := command(ctx, dir, name); err != nil {
			return err
		}
	}
	return nil
}

func startChromium(ctx context.Context, dir string) error {
	const page = "data:text/html,<body><script>setInterval(()=>{document.body.innerHTML='<p>text'.repeat(5000)},20)</script>"
	return command(ctx, dir, "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0",
		"--user-data-dir="+dir, page)
}

func startClang(ctx context.Context, dir string) error {
	const source = "#include <regex>\n#include <map>\n#include <iostream>\nstd::regex r(\"a*\"); std::map<int, std::regex> m;\n"
	if err := os.WriteFile(filepath.Join(dir, "source.cc"), []byte(source), 0o600); err != nil {
		return err
	}
	return command(ctx, dir, "sh", "-c", "while :; do clang-19 -O2 -c source.cc -o source.o; done")
}
