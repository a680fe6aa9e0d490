// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package unlisted

import profiler "github.com/seed-a4c8bb2c/ebpfprofilerreceiver/receiver"

func wrong() {
	go profiler.New()
}
