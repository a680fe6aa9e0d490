// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
)

const slewVariable = "SOURCE_TEST_SLEWS_THE_CLOCK"

// As a child the test binary slews the clock until its input ends, and puts it
// back: however its parent ends, the clock does not stay as it is then.
func TestMain(m *testing.M) {
	if os.Getenv(slewVariable) == "" {
		os.Exit(m.Run())
	}
	signal.Ignore(unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGPIPE)
	farthest, err := slewUntilEOF(os.Stdin)
	fmt.Println("the clock was", farthest, "off at most")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// slewClock speeds the clock up and slows it down until the test ends. It never
// steps it.
func slewClock(t *testing.T) {
	t.Helper()
	roottest.Need(t)
	before, err := clockSpeed()
	require.NoError(t, err)
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), slewVariable+"=1")
	// A group of its own is not killed with this one.
	c.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	c.Stderr = os.Stderr
	stdin, err := c.StdinPipe()
	require.NoError(t, err)
	stdout, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	t.Cleanup(func() {
		require.NoError(t, stdin.Close())
		said, err := io.ReadAll(stdout)
		require.NoError(t, errors.Join(err, c.Wait()), "%s", said)
		t.Logf("%s", said)
		after, err := clockSpeed()
		require.NoError(t, err)
		require.Equal(t, before, after, "the clock was not put back")
	})
}

// speed is what adjtimex(2) slews a clock with: parts per million times 2^16 and
// microseconds per tick.
type speed struct{ frequency, tick int64 }

func clockSpeed() (speed, error) {
	var state unix.Timex
	_, err := unix.Adjtimex(&state)
	return speed{state.Freq, state.Tick}, err
}

func (s speed) set() error {
	const frequency, tick = 0x0002, 0x4000 // include/uapi/linux/timex.h
	if _, err := unix.Adjtimex(&unix.Timex{Modes: frequency | tick, Freq: s.frequency, Tick: s.tick}); err != nil {
		return fmt.Errorf("set the speed of the clock: %w", err)
	}
	return nil
}

// slewUntilEOF lets the clock run as fast and as slowly as the kernel allows, in
// turns that keep it near where it would be.
func slewUntilEOF(input io.Reader) (farthest time.Duration, err error) {
	before, err := clockSpeed()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, before.set()) }()
	end := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, input)
		close(end)
	}()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for start := ahead(); ; {
		off := ahead() - start
		farthest = max(farthest, off.Abs())
		turn := speed{500 << 16, before.tick + before.tick/10}
		if off > 0 {
			turn = speed{-500 << 16, before.tick - before.tick/10}
		}
		if err := turn.set(); err != nil {
			return farthest, err
		}
		select {
		case <-ticker.C:
		case <-end:
			if farthest < 50*time.Microsecond {
				return farthest, errors.New("the clock did not follow")
			}
			return farthest, nil
		}
	}
}

// ahead is how far the clock that is slewed is ahead of the one that is not.
func ahead() time.Duration {
	var slewed, raw unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &slewed)
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC_RAW, &raw)
	return time.Duration(slewed.Nano() - raw.Nano())
}
