// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package completion

import _ "github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
