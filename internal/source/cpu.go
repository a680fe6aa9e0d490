// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// cpu is a CPU that is or was online. It keeps its buffer when it goes offline,
// and gets a new clock when it comes back: the kernel leaves the event of a CPU
// that was away switched off.
type cpu struct {
	id     int
	buffer *buffer
	mapped *sideband
	clock  *clock // nil while the CPU is offline
	// retired is how often the clocks it had before should have fired.
	retired uint64
	// unfired only grows: expectation and count are not read at one instant.
	unfired uint64
}

// UpdateCPUs follows CPUs that came online or went offline since the last call.
func (k *Kernel) UpdateCPUs() error {
	list, online, err := onlineCPUs()
	if err != nil || list == k.online {
		return err
	}
	if err := k.follow(online); err != nil {
		return err
	}
	k.online = list
	return nil
}

// Sample turns the clocks of the CPUs on or off. Lifecycle and mappings are recorded all
// the time.
func (k *Kernel) Sample(on bool) error {
	k.paused = !on
	_, online, err := onlineCPUs()
	if err != nil {
		k.online = "" // UpdateCPUs makes up for it
		return err
	}
	return k.follow(online)
}

// samples reports whether a CPU is to be sampled when it is online.
func (k *Kernel) samples(id int) bool {
	return !k.paused && (len(k.settings.CPUs) == 0 || slices.Contains(k.settings.CPUs, id))
}

// follow records what happens on exactly the CPUs that are online and samples those of
// them that are to be sampled, as far as it can.
func (k *Kernel) follow(online []int) error {
	var errs []error
	for _, c := range k.cpus {
		if !slices.Contains(online, c.id) {
			errs = append(errs, c.retire())
		}
	}
	for _, id := range online {
		if !slices.ContainsFunc(k.cpus, func(c *cpu) bool { return c.id == id }) {
			errs = append(errs, k.addLate(id))
		}
	}
	for _, c := range k.cpus {
		if slices.Contains(online, c.id) {
			errs = append(errs, k.adjust(c))
		}
	}
	return errors.Join(errs...)
}

func (k *Kernel) addBuffer(id int) error {
	b, err := openBuffer(id, k.settings.ringSize())
	if err != nil {
		return err
	}
	mapped, err := openSideband(id)
	if err != nil {
		return errors.Join(err, b.close())
	}
	if err := k.objects.Rings.Put(b.cpu, b.ring); err != nil {
		return errors.Join(fmt.Errorf("give CPU %d its ring buffer: %w", id, err), b.close(), mapped.close())
	}
	k.cpus = append(k.cpus, &cpu{id: id, buffer: b, mapped: mapped})
	k.outlets = append(k.outlets, b, mapped)
	return nil
}

// addLate adds a CPU that came online while we ran: what was mapped there until now
// went unseen.
func (k *Kernel) addLate(id int) error {
	if err := k.addBuffer(id); err != nil {
		return err
	}
	k.cpus[len(k.cpus)-1].mapped.unseen()
	return nil
}

// adjust has a CPU that is online record mappings, and starts or stops its clock.
func (k *Kernel) adjust(c *cpu) error {
	return errors.Join(c.mapped.resume(), k.adjustClock(c))
}

func (k *Kernel) adjustClock(c *cpu) error {
	on := k.samples(c.id)
	switch {
	case on == (c.clock != nil):
		return nil
	case !on:
		return c.stopClock()
	}
	clock, err := openClock(c.id, k.settings.Period(), k.objects.sampler())
	if err != nil {
		return err
	}
	c.clock = clock
	return nil
}

// retire ends the events of a CPU, if it has any.
func (c *cpu) retire() error {
	return errors.Join(c.mapped.retire(), c.stopClock())
}

func (c *cpu) stopClock() error {
	if c.clock == nil {
		return nil
	}
	expected, err := c.clock.stop()
	c.retired += expected
	c.clock = nil
	return err
}

// missed is how often the sampler should have run by now and did not, after it
// ran that often.
func (c *cpu) missed(now event.KTime, taken uint64) uint64 {
	expected := c.retired
	if c.clock != nil {
		expected += c.clock.expected(now)
	}
	if expected > taken {
		c.unfired = max(c.unfired, expected-taken)
	}
	return c.unfired
}

// onlineCPUs reads the CPUs that are online, as the kernel lists them and one by
// one, at least one.
func onlineCPUs() (list string, cpus []int, err error) {
	text, err := os.ReadFile("/sys/devices/system/cpu/online")
	if err != nil {
		return "", nil, fmt.Errorf("list online CPUs: %w", err)
	}
	list = strings.TrimSpace(string(text))
	cpus, err = ParseCPUs(list)
	return list, cpus, err
}
