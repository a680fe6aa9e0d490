// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package hold

import (
	_ "net/http"
	"os"
	"sync"
	clock "time"

	"github.com/cilium/ebpf/link"
	"go.uber.org/zap"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/source"
	profiler "github.com/seed-a4c8bb2c/ebpfprofilerreceiver/receiver"
)

func wrong() {
	var wg sync.WaitGroup
	go os.Exit(1)
	wg.Go(func() {})
	now := clock.Now()
	_ = clock.Since(now)
	_, _, _, _ = link.Link(nil), zap.String, source.Open, profiler.New
}
