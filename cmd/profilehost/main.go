// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Command profilehost runs the collector on this host for a while and prints the
// hottest functions. On a terminal it then lets the collector go on and serve its
// web view until Ctrl-C, unless -for says how long to run. With -preflight it only
// says what is missing.
package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
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
	flag.DurationVar(&c.duration, "for", 0, "how long to profile; 0: 15s, and on a terminal until Ctrl-C")
	rows := flag.Int("rows", 25, "how many functions to print")
	flag.Parse()

	if err := check(); err != nil {
		return err
	}
	if *checkOnly {
		fmt.Println("This host has what the profiler needs.")
		return nil
	}
	shown := false
	show := func(written bool) error {
		t, err := readTable(c.profiles(), written)
		if err != nil {
			return err
		}
		t.print(os.Stdout, *rows)
		shown = true
		return nil
	}
	if err := c.plan(show); err != nil {
		return err
	}
	if err := c.profile(); err != nil {
		return err
	}
	if !shown {
		if err := show(false); err != nil {
			return err
		}
	}
	fmt.Printf("\nOTLP profiles: %s\n", c.profiles())
	return nil
}

const usualDuration = 15 * time.Second

// plan decides whether to serve. show prints the table of a file that may still be
// written.
func (c *collector) plan(show func(written bool) error) error {
	c.web = "localhost:0"
	if c.duration != 0 {
		return nil
	}
	c.duration = usualDuration
	if !terminal(os.Stdin) || !terminal(os.Stdout) {
		return nil
	}
	var err error
	if c.web, err = freeAddress(); err != nil {
		return err
	}
	c.served = func() error {
		if err := show(true); err != nil {
			return err
		}
		fmt.Printf("\nFlame graphs and more: http://%s\nThe host is profiled until you press Ctrl-C.\n", c.web)
		return nil
	}
	return nil
}

// freeAddress is the web view's usual address, or another if that is taken.
func freeAddress() (string, error) {
	for _, port := range []string{"6077", "0"} {
		l, err := net.Listen("tcp", "localhost:"+port)
		if err != nil {
			continue
		}
		defer l.Close()
		return "localhost:" + strconv.Itoa(l.Addr().(*net.TCPAddr).Port), nil
	}
	return "", errors.New("there is no free port for the web view")
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
