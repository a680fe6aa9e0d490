// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package unlisted

import (
	"github.com/google/pprof/profile"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/exporter/pprofwebexporter"
	profiler "github.com/seed-a4c8bb2c/ebpfprofilerreceiver/receiver"
)

var _, _ = profile.Profile{}, pprofwebexporter.Config{}

func wrong() {
	go profiler.New()
}
