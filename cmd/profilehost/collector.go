// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// collector is one run of the collector. Only it is elevated.
type collector struct {
	binary, config, folder string
	duration               time.Duration
	// web is the address of the collector's web view. The run ends after its
	// duration, or goes on if served is set, which is called then.
	web    string
	served func() error
}

func (c *collector) profiles() string { return filepath.Join(c.folder, "profiles.otlp") }
func (c *collector) log() string      { return filepath.Join(c.folder, "collector.log") }

const (
	// stopTimeout is longer than the collector takes to flush.
	stopTimeout = 30 * time.Second
	// settleTime is how long after it ended a window has been written: the
	// watermark's lag and the time to encode it.
	settleTime = 2 * time.Second
	// maxServe bounds a run that Ctrl-C should end, if this program is killed.
	maxServe = 24 * time.Hour
)

func (c *collector) profile() error {
	if err := c.clean(); err != nil {
		return err
	}
	log, err := os.Create(c.log())
	if err != nil {
		return fmt.Errorf("open the collector's log: %w", err)
	}
	defer log.Close()
	cmd := c.command()
	cmd.Stdout, cmd.Stderr = log, log
	if err := c.authenticate(); err != nil {
		return err
	}
	fmt.Printf("Profiling this host for %s ...\n", c.duration)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the collector: %w", err)
	}
	if err := c.wait(cmd); err != nil {
		return fmt.Errorf("%w; its log is %s:\n%s", err, c.log(), tail(c.log()))
	}
	return c.own()
}

// authenticate lets sudo ask for the password before the time runs.
func (c *collector) authenticate() error {
	if os.Geteuid() == 0 {
		return nil
	}
	cmd := exec.Command("sudo", "-v")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("profiling needs root, and sudo refused: %w", err)
	}
	return nil
}

// clean makes room for a run: the collector would append to the last one's file.
func (c *collector) clean() error {
	if err := os.MkdirAll(c.folder, 0o755); err != nil {
		return fmt.Errorf("make the output folder: %w", err)
	}
	if err := os.Remove(c.profiles()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove the profiles of the last run: %w", err)
	}
	return nil
}

func (c *collector) command() *exec.Cmd {
	args := []string{c.binary, "--config=" + c.config, "--feature-gates=service.profilesSupport"}
	env := []string{"PROFILES_FILE=" + c.profiles(), "WEB_ENDPOINT=" + c.web}
	if os.Geteuid() != 0 {
		// sudo does not pass on the signal that kills it, so timeout bounds the run.
		limit := c.duration + stopTimeout
		if c.served != nil {
			limit += maxServe
		}
		args = slices.Concat([]string{"sudo"}, env,
			[]string{"timeout", "--kill-after=5s", strconv.Itoa(int(limit.Seconds())) + "s"}, args)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin = os.Stdin
	return cmd
}

// wait lets the collector run for its time, or until Ctrl-C or the end of the
// terminal, then ends it.
func (c *collector) wait(cmd *exec.Cmd) error {
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	interrupt := make(chan os.Signal, 1)
	signal.Notify(interrupt, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(interrupt)
	var servedErr error
	interrupted, err := sleep(c.duration, ended, interrupt)
	if err == nil && !interrupted && c.served != nil {
		servedErr, err = c.serve(ended, interrupt)
	}
	if err != nil {
		return err
	}
	return errors.Join(servedErr, stop(cmd, ended))
}

// sleep tells whether it was Ctrl-C that ended it. It is an error if the collector
// ended.
func sleep(d time.Duration, ended <-chan error, interrupt <-chan os.Signal) (bool, error) {
	select {
	case err := <-ended:
		return false, fmt.Errorf("the collector ended too early: %w", errors.Join(err, errors.New("exit")))
	case <-interrupt:
		return true, nil
	case <-time.After(d):
		return false, nil
	}
}

// serve calls served and waits for Ctrl-C.
func (c *collector) serve(ended <-chan error, interrupt <-chan os.Signal) (servedErr, err error) {
	interrupted, err := sleep(settleTime, ended, interrupt)
	if err != nil || interrupted {
		return nil, err
	}
	if err := errors.Join(c.own(), c.served()); err != nil {
		return err, nil
	}
	_, err = sleep(maxServe, ended, interrupt)
	return nil, err
}

func stop(cmd *exec.Cmd, ended <-chan error) error {
	// It may have got the Ctrl-C, too.
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end the collector: %w", err)
	}
	select {
	case err := <-ended:
		if err != nil {
			return fmt.Errorf("the collector failed: %w", err)
		}
		return nil
	case <-time.After(stopTimeout):
		_ = cmd.Process.Kill()
		return fmt.Errorf("the collector did not end within %s", stopTimeout)
	}
}

// own makes the file that root wrote readable for who started this.
func (c *collector) own() error {
	if os.Geteuid() == 0 {
		return nil
	}
	owner := strconv.Itoa(os.Getuid()) + ":" + strconv.Itoa(os.Getgid())
	if out, err := exec.Command("sudo", "chown", owner, c.profiles()).CombinedOutput(); err != nil {
		return fmt.Errorf("take over %s: %w: %s", c.profiles(), err, out)
	}
	return nil
}

// tail is the end of a file.
func tail(name string) string {
	const size = 4096
	text, err := os.ReadFile(name)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-size):])
}
