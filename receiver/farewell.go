// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package receiver

import (
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// farewell logs the ledger at the end: the metrics are gone before anyone can
// scrape what the last window and the shutdown added.
func farewell(log *zap.Logger, s *snapshot) {
	missing, level := lost(s).counted(), zapcore.InfoLevel
	if len(missing) > 0 || s.inFlight() > 0 {
		level = zapcore.WarnLevel
	}
	log.Log(level, "Stopped profiling this host",
		zap.Uint64("samples_taken", s.counters.Taken()),
		zap.Any("samples_filtered", filtered(s).counted()),
		zap.Any("samples_lost", missing),
		zap.Uint64("samples_delivered", s.delivered),
		zap.Uint64("samples_in_flight", s.inFlight()))
}

// counted are the values that are not 0.
func (v values) counted() map[string]uint64 {
	out := map[string]uint64{}
	for value, n := range v {
		if n > 0 {
			out[value] = n
		}
	}
	return out
}
