// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/exporter/pprofwebexporter/internal/convert"
)

// measure writes values of a kind.
type measure struct{ name, unit string }

const cpuTime = "CPU time"

func newMeasure(k convert.Kind) measure {
	name, unit := k.Shown()
	if name == "cpu" && unit == "nanoseconds" {
		name = cpuTime
	}
	return measure{name, unit}
}

func (m measure) cpu() bool { return m.name == cpuTime }

func (m measure) text(v int64) string {
	switch m.unit {
	case "nanoseconds":
		return durationText(time.Duration(v))
	case "bytes":
		return bytesText(v)
	case "count", "":
		return strconv.FormatInt(v, 10)
	default:
		return strconv.FormatInt(v, 10) + " " + m.unit
	}
}

func durationText(d time.Duration) string {
	switch {
	case d >= 10*time.Minute:
		return d.Round(time.Second).String()
	case d >= 100*time.Second:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d >= time.Second:
		return fmt.Sprintf("%.3g s", d.Seconds())
	default:
		return fmt.Sprintf("%.3g ms", float64(d)/float64(time.Millisecond))
	}
}

func bytesText(v int64) string {
	const step = 1024
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	f, i := float64(v), 0
	for math.Abs(f) >= step && i < len(units)-1 {
		f, i = f/step, i+1
	}
	return fmt.Sprintf("%.4g %s", f, units[i])
}

// percent is a part of a whole as CSS and readers want it, 0 if there is no whole.
func percent(part, whole int64) string {
	if whole <= 0 {
		return "0.0%"
	}
	return fmt.Sprintf("%.1f%%", min(100, max(0, 100*float64(part)/float64(whole))))
}
