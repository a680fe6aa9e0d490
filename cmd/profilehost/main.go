// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Command profilehost runs the collector on this host for a while and prints the
// hottest functions. With -preflight it only says what is missing.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/preflight"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	var c collector
	checkOnly := flag.Bool("preflight", false, "only check what the host lacks")
	flag.StringVar(&c.binary, "collector", "bin/otelcol-ebpf-profiler", "the collector to run")
	flag.StringVar(&c.config, "config", "examples/run.yaml", "its configuration")
	flag.StringVar(&c.folder, "out", "out", "where to leave profiles and log")
	flag.DurationVar(&c.duration, "for", 15*time.Second, "how long to profile")
	rows := flag.Int("rows", 25, "how many functions to print")
	flag.Parse()

	if err := check(); err != nil {
		return err
	}
	if *checkOnly {
		fmt.Println("This host has what the profiler needs.")
		return nil
	}
	if err := c.profile(); err != nil {
		return err
	}
	t, err := readTable(c.profiles())
	if err != nil {
		return err
	}
	t.print(os.Stdout, *rows)
	fmt.Printf("\nOTLP profiles: %s\n", c.profiles())
	return nil
}

// check reports every obstacle, one per line, with its cure.
func check() error {
	errs := preflight.Host()
	if os.Geteuid() == 0 {
		errs = append(errs, preflight.Privileges()...)
	} else if _, err := exec.LookPath("sudo"); err != nil {
		errs = append(errs, errors.New("profiling needs root and there is no sudo: run this as root"))
	}
	return errors.Join(errs...)
}
