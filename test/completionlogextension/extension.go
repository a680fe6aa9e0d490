// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Package completionlogextension is an example of a component that listens to
// the completions of ebpf_profiler receivers. It writes each to a file, one line
// of receiver id and nanoseconds. A receiver finds it by its id:
//
//	receivers:
//	  ebpf_profiler:
//	    completion_listeners: [completion_log]
package completionlogextension

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"
	"go.uber.org/zap"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/completion"
)

// Config is the extension's section of the collector's configuration.
type Config struct {
	// Path is the file to write; what it held is lost.
	Path string `mapstructure:"path"`
	// MaxLines bounds the file; later completions are counted, not written.
	MaxLines int `mapstructure:"max_lines"`

	// prevent unkeyed literal initialization
	_ struct{}
}

// Validate reports every value that is out of range.
func (c *Config) Validate() error {
	var errs []error
	if c.Path == "" {
		errs = append(errs, errors.New(`path: "" is out of range, want the name of a file`))
	}
	if c.MaxLines < 1 {
		errs = append(errs, fmt.Errorf("max_lines: %d is out of range, want at least 1", c.MaxLines))
	}
	return errors.Join(errs...)
}

// NewFactory returns the factory of the completion_log extension.
func NewFactory() extension.Factory {
	return extension.NewFactory(component.MustNewType("completion_log"),
		func() component.Config { return &Config{MaxLines: 100_000} },
		func(_ context.Context, set extension.Settings, cfg component.Config) (extension.Extension, error) {
			return &completionLog{config: cfg.(*Config), logger: set.Logger}, nil
		},
		component.StabilityLevelDevelopment)
}

type completionLog struct {
	config *Config
	logger *zap.Logger

	// mu: several receivers may name one extension, and each has its goroutine.
	mu             sync.Mutex
	file           *os.File
	out            *bufio.Writer
	lines, dropped int
	err            error
}

var (
	_ extension.Extension = (*completionLog)(nil)
	_ completion.Listener = (*completionLog)(nil)
)

// Start opens the file.
func (l *completionLog) Start(context.Context, component.Host) error {
	file, err := os.Create(l.config.Path)
	if err != nil {
		return fmt.Errorf("completion_log: open the file of path: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.file, l.out = file, bufio.NewWriter(file)
	return nil
}

// Completed writes one line.
func (l *completionLog) Completed(c completion.Completion) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.out == nil || l.lines >= l.config.MaxLines {
		l.dropped++
		return
	}
	l.lines++
	if _, err := fmt.Fprintf(l.out, "%s %d\n", c.Receiver, c.Until); err != nil {
		l.err = err
	}
}

// Shutdown flushes and closes the file.
func (l *completionLog) Shutdown(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.out == nil {
		return nil
	}
	err := errors.Join(l.err, l.out.Flush(), l.file.Close())
	l.file, l.out = nil, nil
	if l.dropped > 0 {
		l.logger.Warn("Completions not written: max_lines reached", zap.Int("dropped", l.dropped))
	}
	if err != nil {
		return fmt.Errorf("completion_log: write the file of path: %w", err)
	}
	return nil
}
