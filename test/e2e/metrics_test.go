// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e && linux

package e2e

import (
	"bufio"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// series is one line of a scrape.
type series struct {
	name   string
	labels map[string]string
	value  float64
}

// scrape is everything the collector tells of itself at one moment.
type scrape []series

var (
	line  = regexp.MustCompile(`^([a-zA-Z0-9_:]+)(?:\{(.*)\})? (\S+)$`)
	label = regexp.MustCompile(`([a-zA-Z0-9_]+)="((?:[^"\\]|\\.)*)"`)
)

// scrape asks the Prometheus endpoint, which is up a moment after the start.
func (c *collector) scrape() scrape {
	c.t.Helper()
	var last error
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		s, err := tryScrape(fmt.Sprintf("http://127.0.0.1:%d/metrics", c.metricsPort))
		if err == nil {
			return s
		}
		last = err
	}
	require.NoError(c.t, last)
	return nil
}

func tryScrape(url string) (scrape, error) {
	response, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s says %s", url, response.Status)
	}
	var s scrape
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if m := line.FindStringSubmatch(lines.Text()); m != nil {
			value, err := strconv.ParseFloat(m[3], 64)
			if err != nil {
				return nil, err
			}
			one := series{name: m[1], labels: map[string]string{}, value: value}
			for _, l := range label.FindAllStringSubmatch(m[2], -1) {
				one.labels[l[1]] = l[2]
			}
			s = append(s, one)
		}
	}
	return s, lines.Err()
}

// sum adds up the series of a metric of a receiver whose labels match; labels are
// names and values in turn.
func (s scrape) sum(t testing.TB, receiver, name string, labels ...string) float64 {
	t.Helper()
	total, found := 0.0, false
	for _, one := range s {
		if one.name != name || one.labels["receiver"] != receiver {
			continue
		}
		matches := true
		for i := 0; i < len(labels); i += 2 {
			matches = matches && one.labels[labels[i]] == labels[i+1]
		}
		if matches {
			total, found = total+one.value, true
		}
	}
	require.True(t, found, "the metric %s of %s with %q is missing", name, receiver, labels)
	return total
}

// own is a metric that the receiver defines.
func own(name string) string { return "otelcol_receiver_ebpf_profiler_" + name }

// ledger is where the samples of a receiver are.
type ledger struct {
	Expected, Unfired, Taken, Filtered, Lost, Delivered, InFlight float64
}

func (s scrape) ledger(t testing.TB, receiver string) ledger {
	t.Helper()
	get := func(name string) float64 { return s.sum(t, receiver, own("samples_"+name)) }
	return ledger{
		Expected: get("expected"), Unfired: get("unfired"), Taken: get("taken"), Filtered: get("filtered"),
		Lost: get("lost"), Delivered: get("delivered"), InFlight: get("in_flight"),
	}
}

// gaps are what the two equations of the ledger lack; both are 0 if it closes.
func (l ledger) gaps() [2]float64 {
	return [2]float64{
		l.Expected - l.Taken - l.Unfired,
		l.Taken - l.Filtered - l.Lost - l.Delivered - l.InFlight,
	}
}

// requireClosed checks that every sample is accounted for.
func (l ledger) requireClosed(t testing.TB) {
	t.Helper()
	require.Zero(t, l.gaps(), "%+v", l)
}
