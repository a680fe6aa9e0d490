// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e && linux

// Package e2e runs the collector that ocb built on this host and holds what
// leaves it against what the kernel and OTLP say.
package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
)

const (
	startTimeout = 20 * time.Second
	// endTimeout is what an operator may expect of SIGTERM and of a bad start.
	endTimeout = 10 * time.Second
	gate       = "--feature-gates=service.profilesSupport"
)

// collectorBinary is the collector under test.
func collectorBinary(t testing.TB) string {
	t.Helper()
	return built(t, "COLLECTOR", "../../bin/otelcol-ebpf-profiler-e2e", "make build-e2e")
}

// contribBinary is the collector with Kubernetes attributes. It is much larger, and profiles
// itself: nothing else is measured with it.
func contribBinary(t testing.TB) string {
	t.Helper()
	return built(t, "COLLECTOR_CONTRIB", "../../bin/otelcol-ebpf-profiler-contrib", "make build-contrib")
}

// built finds a collector that has been built.
func built(t testing.TB, variable, name, how string) string {
	t.Helper()
	if other := os.Getenv(variable); other != "" {
		name = other
	}
	path, err := filepath.Abs(name)
	require.NoError(t, err)
	require.FileExists(t, path, "run `%s` first", how)
	return path
}

// collector is a running collector whose configuration finds its folder and ports
// in the environment.
type collector struct {
	t           testing.TB
	dir         string
	metricsPort int
	process     *os.Process
	ended       chan error
}

// start runs the collector with a configuration of testdata until it is ready.
func start(t testing.TB, config string, env ...string) *collector {
	t.Helper()
	return startWithin(t, nil, env, "--config=testdata/"+config)
}

// startWithin runs the collector by another command, if there is one, until it is ready.
func startWithin(t testing.TB, within, env []string, args ...string) *collector {
	t.Helper()
	return startCommand(t, env, slices.Concat(within, []string{collectorBinary(t)}, args, []string{gate})...)
}

// startCommand runs a command that becomes a collector, until it is ready.
func startCommand(t testing.TB, env []string, command ...string) *collector {
	t.Helper()
	roottest.Need(t)
	c := &collector{t: t, dir: t.TempDir(), metricsPort: freePort(t), ended: make(chan error, 1)}
	log, err := os.Create(c.file("log"))
	require.NoError(t, err)
	defer log.Close()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), append(env,
		"DIR="+c.dir, fmt.Sprintf("METRICS_PORT=%d", c.metricsPort))...)
	cmd.Stdout, cmd.Stderr = log, log
	launch(t, cmd)
	c.process = cmd.Process
	go func() { c.ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = c.process.Kill()
		if t.Failed() {
			t.Logf("the collector's log without what is usual:\n%s", tail(unusual(c.log())))
		}
	})
	c.waitReady(1)
	return c
}

// launch starts a command that ends with this process at the latest.
func launch(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, cmd.Start())
}

func (c *collector) file(name string) string { return filepath.Join(c.dir, name) }

func (c *collector) log() []byte {
	text, err := os.ReadFile(c.file("log"))
	require.NoError(c.t, err)
	return text
}

// waitReady returns when the collector has been ready n times.
func (c *collector) waitReady(n int) {
	c.t.Helper()
	deadline := time.Now().Add(startTimeout)
	for bytes.Count(c.log(), []byte("Everything is ready.")) < n {
		select {
		case err := <-c.ended:
			c.ended <- err
			require.FailNow(c.t, "the collector ended early", "%v\n%s", err, tail(c.log()))
		case <-time.After(20 * time.Millisecond):
		}
		require.True(c.t, time.Now().Before(deadline), "the collector was not ready in %s", startTimeout)
	}
}

func (c *collector) signal(s os.Signal) {
	c.t.Helper()
	require.NoError(c.t, c.process.Signal(s))
}

// stop asks the collector to end, which it must do soon and without an error.
func (c *collector) stop() {
	c.t.Helper()
	began := time.Now()
	c.signal(syscall.SIGTERM)
	select {
	case err := <-c.ended:
		require.NoError(c.t, err, "after SIGTERM")
		c.t.Logf("ended %s after SIGTERM", time.Since(began).Round(time.Millisecond))
	case <-time.After(endTimeout):
		require.FailNow(c.t, "the collector still runs", "%s after SIGTERM", endTimeout)
	}
}

// fails runs a command that must end with an error soon, and returns its output.
func fails(t testing.TB, env []string, command ...string) string {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = &out, &out
	launch(t, cmd)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	select {
	case err := <-ended:
		var exit *exec.ExitError
		require.True(t, errors.As(err, &exit), "want a failure, got %v\n%s", err, out.Bytes())
		require.Positive(t, exit.ExitCode(), "want an exit code, got %v\n%s", err, out.Bytes())
	case <-time.After(endTimeout):
		require.FailNow(t, "the collector still runs", "%v", command)
	}
	return out.String()
}

// freePort is a port of the loopback address that nobody listens on.
func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// portVariable gives a configuration a free port.
func portVariable(t testing.TB, name string) string {
	t.Helper()
	return name + "=" + strconv.Itoa(freePort(t))
}

// unusual are the lines of a log but those of level info.
func unusual(log []byte) []byte {
	return bytes.Join(slices.DeleteFunc(bytes.Split(log, []byte("\n")), func(line []byte) bool {
		return bytes.Contains(line, []byte("\tinfo\t"))
	}), []byte("\n"))
}

// tail is the end of a text.
func tail(text []byte) []byte { return text[max(0, len(text)-4096):] }
