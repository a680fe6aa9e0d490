// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"go.opentelemetry.io/collector/pdata/pprofile"
)

const config = `
receivers: {ebpf_profiler: {samples_per_second: %d}}
exporters: {file: {path: %s, format: proto}}
service:
  telemetry: {metrics: {level: none}}
  pipelines: {profiles: {receivers: [ebpf_profiler], exporters: [file]}}
`

// collector is one with the receiver. What it does includes names.
type collector struct {
	cmd  *exec.Cmd
	file string
}

func startCollector(binary string, hz int, folder string) (session, error) {
	c := &collector{file: filepath.Join(folder, "profiles.otlp")}
	c.cmd = exec.Command(binary, "--config=yaml:"+fmt.Sprintf(config, hz, c.file), "--feature-gates=service.profilesSupport")
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	time.Sleep(15 * time.Second) // the first window, and files of what runs here
	return c, nil
}

func (c *collector) run(load, rounds string) (once, error) {
	before, err := threads(c.cmd.Process.Pid)
	if err != nil {
		return once{}, err
	}
	loaded := exec.Command(load, rounds)
	if err := loaded.Run(); err != nil {
		return once{}, err
	}
	now, err := threads(c.cmd.Process.Pid)
	return once{used(loaded), now - before}, err
}

func (c *collector) stop() (counts, error) {
	defer os.Remove(c.file)
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return counts{}, err
	}
	if err := c.cmd.Wait(); err != nil {
		return counts{}, err
	}
	data, err := os.ReadFile(c.file)
	if err != nil {
		return counts{}, err
	}
	t := tally{first: map[int64]uint64{}}
	for len(data) >= 4 {
		size := int(binary.BigEndian.Uint32(data))
		if data = data[4:]; size > len(data) {
			return counts{}, fmt.Errorf("%s is cut off", c.file)
		}
		p, err := (&pprofile.ProtoUnmarshaler{}).UnmarshalProfiles(data[:size])
		if err != nil {
			return counts{}, err
		}
		t.add(p)
		data = data[size:]
	}
	return t.counts, nil
}

// tally counts the samples in profiles.
type tally struct {
	counts
	// first is when the first sample of a process was taken, in ns. Windows come in
	// the order of time, and so do the stamps of a process in each, nearly.
	first map[int64]uint64
}

func (t *tally) add(p pprofile.Profiles) {
	d := p.Dictionary()
	for _, rp := range p.ResourceProfiles().All() {
		name, _ := rp.Resource().Attributes().Get("process.executable.name")
		pid, _ := rp.Resource().Attributes().Get("process.pid")
		for _, sp := range rp.ScopeProfiles().All() {
			for _, profile := range sp.Profiles().All() {
				for _, s := range profile.Samples().All() {
					t.taken += s.TimestampsUnixNano().Len()
					if name.Str() == loadName {
						t.addOwn(pid.Int(), s.TimestampsUnixNano().AsRaw(), read(d, s).whole())
					}
				}
			}
		}
	}
}

func (t *tally) addOwn(pid int64, stamps []uint64, whole bool) {
	for _, at := range stamps {
		if first, ok := t.first[pid]; !ok || at < first {
			t.first[pid] = at
		}
		settled := at > t.first[pid]+uint64(settle)
		t.samples++
		if settled {
			t.settled++
		}
		if whole {
			t.whole++
			if settled {
				t.settledWhole++
			}
		}
	}
}

func read(d pprofile.ProfilesDictionary, sample pprofile.Sample) *stack {
	var s stack
	for _, i := range d.StackTable().At(int(sample.StackIndex())).LocationIndices().All() {
		for _, line := range d.LocationTable().At(int(i)).Lines().All() {
			f := d.FunctionTable().At(int(line.FunctionIndex()))
			s.add(d.StringTable().At(int(f.NameStrindex())))
		}
	}
	return &s
}
