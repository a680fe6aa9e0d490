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
	"strconv"
	"syscall"
	"time"
)

// collector is one run of the collector. Only it is elevated.
type collector struct {
	binary, config, folder string
	duration               time.Duration
}

func (c *collector) profiles() string { return filepath.Join(c.folder, "profiles.otlp") }
func (c *collector) log() string      { return filepath.Join(c.folder, "collector.log") }

// stopTimeout is longer than the collector takes to flush.
const stopTimeout = 30 * time.Second

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
	file := "PROFILES_FILE=" + c.profiles()
	if os.Geteuid() != 0 {
		// sudo does not pass on the signal that kills it, so timeout bounds the run.
		limit := strconv.Itoa(int((c.duration + stopTimeout).Seconds())) + "s"
		args = append([]string{"sudo", file, "timeout", "--kill-after=5s", limit}, args...)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), file)
	cmd.Stdin = os.Stdin
	return cmd
}

// wait lets the collector run for its time or until Ctrl-C, then ends it.
func (c *collector) wait(cmd *exec.Cmd) error {
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	interrupt := make(chan os.Signal, 1)
	signal.Notify(interrupt, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(interrupt)
	select {
	case err := <-ended:
		return fmt.Errorf("the collector ended too early: %w", errors.Join(err, errors.New("exit")))
	case <-interrupt:
	case <-time.After(c.duration):
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
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
