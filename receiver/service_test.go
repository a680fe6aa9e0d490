// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package receiver_test

import (
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pprofile"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/metadatatest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/receiver"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/test/otlpcheck"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/test/workloads"
)

// publisher is a program that publishes a process context.
type publisher struct {
	how, name string
	variables []string
}

func (p publisher) start(t *testing.T, program string, runs time.Duration) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(program, p.how, p.name, strconv.FormatInt(runs.Milliseconds(), 10))
	cmd.Env = append([]string{"PATH=/usr/bin:/bin"}, p.variables...)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	return cmd
}

// serviceRun is a receiver that asks for services, and what it counts.
type serviceRun struct {
	*receiver.Receiver
	sink *consumertest.ProfilesSink
	tel  *componenttest.Telemetry
}

func startForServices(t *testing.T, change func(*receiver.Settings)) serviceRun {
	t.Helper()
	roottest.Need(t)
	s := fast()
	s.SamplesPerSecond = 499
	s.ServiceVariables, s.ProcessContext = true, true
	change(&s)
	run := serviceRun{sink: &consumertest.ProfilesSink{}, tel: componenttest.NewTelemetry()}
	run.Receiver = receiver.New(metadatatest.NewSettings(run.tel), s, receiver.OpenKernel, run.sink)
	require.NoError(t, run.Start(t.Context(), componenttest.NewNopHost()))
	return run
}

// stop ends the receiver when what has run is delivered, and returns the looks at process
// contexts by outcome.
func (r serviceRun) stop(t *testing.T) map[string]int64 {
	t.Helper()
	time.Sleep(300 * time.Millisecond)
	m, err := r.tel.GetMetric(prefix + "process_context_reads")
	require.NoError(t, err)
	reads := map[string]int64{}
	for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
		outcome, _ := p.Attributes.Value("outcome")
		reads[outcome.AsString()] += p.Value
	}
	late, _ := sum(t, r.tel, "late_records", "ebpf_profiler")
	assert.Zero(t, late)
	began := time.Now()
	require.NoError(t, r.Shutdown(t.Context()))
	require.Less(t, time.Since(began), 5*time.Second)
	t.Log(reads)
	return reads
}

// services yields what the resources with samples say of services, oldest first.
func (r serviceRun) services(t *testing.T, yield func(pid, parent int64, service map[string]string)) {
	t.Helper()
	for _, profiles := range r.sink.AllProfiles() {
		require.NoError(t, otlpcheck.Check(profiles))
		for _, rp := range profiles.ResourceProfiles().All() {
			is, service := rp.Resource().Attributes().AsRaw(), map[string]string{}
			for key, value := range is {
				if strings.HasPrefix(key, "service.") || strings.HasPrefix(key, "deployment.") {
					service[strings.TrimPrefix(key, "service.")] = value.(string)
				}
			}
			pid, _ := is["process.pid"].(int64)
			parent, _ := is["process.parent_pid"].(int64)
			yield(pid, parent, service)
		}
	}
}

// Two processes of one executable are two resources with their own service, which the
// context tells better than the environment, for this process and this program only.
func TestServices(t *testing.T) {
	roottest.InTime(t)
	program := workloads.BuildPublisher(t)
	run := startForServices(t, func(*receiver.Settings) {})
	named := func(name string) []string {
		return []string{"OTEL_SERVICE_NAME=" + name, "OTEL_RESOURCE_ATTRIBUTES=service.name=no,service.namespace=s%20p,host.name=h"}
	}
	cases := map[string]publisher{
		"one":       {"none", "", named("one")},
		"two":       {"none", "", named("two")},
		"nothing":   {"none", "", nil},
		"malformed": {"none", "", []string{"OTEL_RESOURCE_ATTRIBUTES=service.name=a,service.version=%1"}},
		"context":   {"memfd", "till", named("env")},
		"fork":      {"fork", "parent", named("env")},
		"exec":      {"exec", "before", named("env")},
	}
	commands := map[string]*exec.Cmd{}
	for name, p := range cases {
		commands[name] = p.start(t, program, 5400*time.Millisecond)
	}
	for _, cmd := range commands {
		require.NoError(t, cmd.Wait())
	}
	malformed, _ := sum(t, run.tel, "service_variables_malformed", "ebpf_profiler")
	assert.EqualValues(t, 1, malformed)
	reads := run.stop(t)
	assert.GreaterOrEqual(t, reads["read"], int64(5))
	for _, outcome := range []string{"malformed", "torn"} {
		assert.Zero(t, reads[outcome], outcome)
	}

	seen := map[string]map[string][]string{}
	run.services(t, func(pid, parent int64, service map[string]string) {
		for name, cmd := range commands {
			switch {
			case pid == int64(cmd.Process.Pid):
				note(seen, name, service)
			case parent == int64(cmd.Process.Pid):
				note(seen, "child of "+name, service)
			}
		}
	})
	pid := func(name string) []string { return []string{strconv.Itoa(commands[name].Process.Pid)} }
	namespace := []string{"s p"}
	assert.Equal(t, map[string]map[string][]string{
		"one":           {"name": {"one"}, "namespace": namespace},
		"two":           {"name": {"two"}, "namespace": namespace},
		"nothing":       {},
		"malformed":     {},
		"context":       {"name": {"till", "till again"}, "namespace": namespace, "instance.id": pid("context")},
		"fork":          {"name": {"parent", "parent again"}, "namespace": namespace, "instance.id": pid("fork")},
		"child of fork": {"name": {"env"}, "namespace": namespace},
		"exec":          {"name": {"before", "env"}, "namespace": namespace, "instance.id": pid("exec")},
	}, seen)
}

// note keeps the values that an attribute has one after the other. In the first windows of a
// process less may be known of it, and its environment before its context.
func note(seen map[string]map[string][]string, name string, service map[string]string) {
	if seen[name] == nil {
		seen[name] = map[string][]string{}
	}
	for key, value := range service {
		if name != "child of fork" && value == "env" && len(seen[name][key]) == 0 {
			continue
		}
		if !slices.Contains(seen[name][key], value) {
			seen[name][key] = append(seen[name][key], value)
		}
	}
}

// A context that cannot be right harms nothing: it is counted, and the process has what its
// environment says, as the others have theirs.
func TestHostileProcessContexts(t *testing.T) {
	roottest.InTime(t)
	program := workloads.BuildPublisher(t)
	run := startForServices(t, func(*receiver.Settings) {})
	good := publisher{"memfd", "good", nil}.start(t, program, 6*time.Second)
	bad := map[string]*exec.Cmd{}
	for _, how := range []string{"huge", "nowhere", "kernel", "garbage", "file", "stuck", "torn", "changing"} {
		bad[how] = publisher{how, "bad", []string{"OTEL_SERVICE_NAME=env"}}.start(t, program, 6*time.Second)
	}
	require.NoError(t, good.Wait())
	for _, cmd := range bad {
		require.NoError(t, cmd.Wait())
	}
	reads := run.stop(t)
	assert.GreaterOrEqual(t, reads["malformed"], int64(5), "huge, nowhere, garbage, file, stuck")
	assert.Positive(t, reads["unreadable"], "kernel")
	assert.Positive(t, reads["torn"], "torn")
	names := map[int64]map[string]bool{}
	run.services(t, func(pid, _ int64, service map[string]string) {
		if names[pid] == nil {
			names[pid] = map[string]bool{}
		}
		names[pid][service["name"]] = true
	})
	assert.True(t, names[int64(good.Process.Pid)]["good"], names)
	for how, cmd := range bad {
		seen := names[int64(cmd.Process.Pid)]
		delete(seen, "") // in the first window
		assert.Equal(t, map[string]bool{"env": true}, seen, how)
	}
}

// Processes that live for milliseconds have the service of their environment.
func TestServicesOfShortLivedProcesses(t *testing.T) {
	roottest.InTime(t)
	program := workloads.BuildPublisher(t)
	run := startForServices(t, func(s *receiver.Settings) { s.SamplesPerSecond = 997 })
	const processes = 40
	ours := map[int64]bool{}
	for range processes {
		cmd := publisher{"none", "", []string{"OTEL_SERVICE_NAME=short"}}.start(t, program, 150*time.Millisecond)
		ours[int64(cmd.Process.Pid)] = true
		require.NoError(t, cmd.Wait())
	}
	run.stop(t)
	seen, named := map[int64]bool{}, map[int64]bool{}
	run.services(t, func(pid, _ int64, service map[string]string) {
		if ours[pid] {
			seen[pid] = true
			named[pid] = named[pid] || service["name"] == "short"
			assert.Contains(t, []string{"", "short"}, service["name"])
		}
	})
	maps.DeleteFunc(named, func(_ int64, is bool) bool { return !is })
	t.Logf("%d of %d processes of 150 ms are named", len(named), len(seen))
	require.GreaterOrEqual(t, len(seen), processes/2)
	assert.Greater(t, len(named), len(seen)/5)
}

// The name of the service is on each sample of it if that is asked for.
func TestServiceNamesOnSamples(t *testing.T) {
	roottest.InTime(t)
	program := workloads.BuildPublisher(t)
	for _, on := range []bool{true, false} {
		run := startForServices(t, func(s *receiver.Settings) { s.Placement.Service = on })
		cmd := publisher{"none", "", []string{"OTEL_SERVICE_NAME=till"}}.start(t, program, 3*time.Second)
		require.NoError(t, cmd.Wait())
		run.stop(t)
		samples := 0
		for _, profiles := range run.sink.AllProfiles() {
			require.NoError(t, otlpcheck.Check(profiles))
			for _, rp := range profiles.ResourceProfiles().All() {
				want := ""
				if name, ok := rp.Resource().Attributes().Get("service.name"); ok && on {
					want = name.Str()
				}
				for _, s := range rp.ScopeProfiles().At(0).Profiles().At(0).Samples().All() {
					require.Equal(t, want, attributeOf(profiles.Dictionary(), s, "service.name"))
					if want == "till" {
						samples++
					}
				}
			}
		}
		assert.Equal(t, on, samples > 0)
	}
}

// attributeOf returns the text of an attribute of a sample, "" if it has none.
func attributeOf(d pprofile.ProfilesDictionary, s pprofile.Sample, key string) string {
	for _, i := range s.AttributeIndices().AsRaw() {
		a := d.AttributeTable().At(int(i))
		if d.StringTable().At(int(a.KeyStrindex())) == key {
			return a.Value().Str()
		}
	}
	return ""
}
