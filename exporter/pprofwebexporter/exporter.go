// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pprofwebexporter

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/config/confignet"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/pprofile"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/exporter/pprofwebexporter/internal/metadata"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/exporter/pprofwebexporter/internal/web"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/exporter/pprofwebexporter/internal/window"
)

// webExporter keeps what it is sent, and a server that shows it.
type webExporter struct {
	config    *Config
	settings  component.TelemetrySettings
	store     *window.Store
	telemetry *metadata.TelemetryBuilder
	id        attribute.KeyValue

	server *http.Server
	served chan struct{}
}

func newWebExporter(set exporter.Settings, c *Config) (*webExporter, error) {
	telemetry, err := metadata.NewTelemetryBuilder(set.TelemetrySettings)
	if err != nil {
		return nil, fmt.Errorf("make the exporter's metrics: %w", err)
	}
	return &webExporter{
		config:    c,
		settings:  set.TelemetrySettings,
		store:     window.NewStore(window.Limits{Windows: c.MaxWindows, Bytes: c.MaxBytes}),
		telemetry: telemetry,
		id:        attribute.String("exporter", set.ID.String()),
	}, nil
}

func (e *webExporter) start(ctx context.Context, host component.Host) error {
	if err := e.observe(); err != nil {
		return err
	}
	handler := web.NewHandler(web.Settings{
		Store: e.store, Hosts: e.config.AllowedHosts, Refused: e.countRefused, Logger: e.settings.Logger,
	})
	server, err := e.config.ToServer(ctx, host.GetExtensions(), e.settings, handler)
	if err != nil {
		return fmt.Errorf("make the web server: %w", err)
	}
	listener, err := e.config.ToListener(ctx)
	if err != nil {
		return fmt.Errorf("endpoint: listen at %s: %w", e.config.NetAddr.Endpoint, err)
	}
	e.server, e.served = server, make(chan struct{})
	go func() {
		defer close(e.served)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			componentstatus.ReportStatus(host, componentstatus.NewPermanentErrorEvent(fmt.Errorf("serve profiles: %w", err)))
		}
	}()
	e.settings.Logger.Info("Profiles can be looked at with a browser", zap.String("address", e.address(listener.Addr().String())))
	return nil
}

// address is what to type into a browser, or where the socket is.
func (e *webExporter) address(listener string) string {
	if e.config.NetAddr.Transport == confignet.TransportTypeUnix {
		return listener
	}
	scheme := "http"
	if e.config.TLS.HasValue() {
		scheme = "https"
	}
	return scheme + "://" + listener
}

func (e *webExporter) observe() error {
	held := func(value func() int64) metric.Int64Callback {
		return func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(value(), metric.WithAttributes(e.id))
			return nil
		}
	}
	return errors.Join(
		e.telemetry.RegisterExporterPprofWebWindowsCallback(held(func() int64 { windows, _ := e.store.Held(); return int64(windows) })),
		e.telemetry.RegisterExporterPprofWebBytesCallback(held(func() int64 { _, bytes := e.store.Held(); return bytes })),
	)
}

// consume keeps p, or says for good why it cannot.
func (e *webExporter) consume(ctx context.Context, p pprofile.Profiles) error {
	b, err := window.NewBatch(p, time.Now())
	if err != nil {
		return e.refuse(ctx, err)
	}
	byWindows, byBytes, err := e.store.Add(b)
	if err != nil {
		return e.refuse(ctx, err)
	}
	e.countDropped(ctx, "max_windows", byWindows)
	e.countDropped(ctx, "max_bytes", byBytes)
	return nil
}

func (e *webExporter) refuse(ctx context.Context, err error) error {
	e.telemetry.ExporterPprofWebInvalidBatches.Add(ctx, 1, metric.WithAttributes(e.id))
	return consumererror.NewPermanent(err)
}

func (e *webExporter) countDropped(ctx context.Context, reason string, d window.Dropped) {
	if d.Windows == 0 {
		return
	}
	attributes := metric.WithAttributes(e.id, attribute.String("reason", reason))
	e.telemetry.ExporterPprofWebDroppedWindows.Add(ctx, int64(d.Windows), attributes)
	e.telemetry.ExporterPprofWebDroppedSamples.Add(ctx, int64(d.Samples), attributes)
}

func (e *webExporter) countRefused() {
	e.telemetry.ExporterPprofWebRefusedRequests.Add(context.Background(), 1, metric.WithAttributes(e.id))
}

// shutdown ends the server with the requests it is at: who looks at profiles of a
// collector that stops has seen them.
func (e *webExporter) shutdown(context.Context) error {
	e.telemetry.Shutdown()
	if e.server == nil {
		return nil
	}
	err := e.server.Close()
	<-e.served
	return err
}
