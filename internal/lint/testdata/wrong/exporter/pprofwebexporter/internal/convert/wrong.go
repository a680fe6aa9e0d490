// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package convert

import (
	"os"

	_ "github.com/google/pprof/profile"
)

var _ = os.Args
