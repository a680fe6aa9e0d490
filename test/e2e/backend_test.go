// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e && linux

package e2e

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pprofile"
	"go.opentelemetry.io/collector/pdata/pprofile/pprofileotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip" // what exporters use unless told otherwise
	"google.golang.org/grpc/status"
)

// answer is what a backend makes of a message; it may take its time.
type answer func(context.Context) codes.Code

func always(code codes.Code) answer {
	return func(context.Context) codes.Code { return code }
}

// after accepts messages slowly.
func after(d time.Duration) answer {
	return func(ctx context.Context) codes.Code {
		select {
		case <-ctx.Done():
			return codes.Canceled
		case <-time.After(d):
			return codes.OK
		}
	}
}

// never answers while the caller waits.
func never(ctx context.Context) codes.Code {
	<-ctx.Done()
	return codes.Canceled
}

// backend is an OTLP endpoint that answers as a test says and counts samples.
type backend struct {
	pprofileotlp.UnimplementedGRPCServer
	endpoint                 string
	answer                   atomic.Pointer[answer]
	calls, offered, accepted atomic.Int64
	// seen is told of every message, one at a time, if it is set before the first.
	seen   func(pprofile.Profiles)
	seeing sync.Mutex
}

func grpcBackend(t testing.TB, first answer) *backend {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	b := &backend{endpoint: listener.Addr().String()}
	b.answer.Store(&first)
	server := grpc.NewServer()
	pprofileotlp.RegisterGRPCServer(server, b)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return b
}

func httpBackend(t testing.TB, first answer) *backend {
	t.Helper()
	b := &backend{}
	b.answer.Store(&first)
	server := httptest.NewServer(b)
	b.endpoint = server.URL
	t.Cleanup(server.Close)
	return b
}

func (b *backend) Export(ctx context.Context, r pprofileotlp.ExportRequest) (pprofileotlp.ExportResponse, error) {
	return pprofileotlp.NewExportResponse(), status.Error(b.take(ctx, r.Profiles()), "as the test says")
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	request := pprofileotlp.NewExportRequest()
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = request.UnmarshalProto(body)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusTeapot)
		return
	}
	w.WriteHeader(map[codes.Code]int{
		codes.OK:              http.StatusOK,
		codes.InvalidArgument: http.StatusBadRequest,
		codes.Unavailable:     http.StatusServiceUnavailable,
		codes.Canceled:        http.StatusRequestTimeout,
	}[b.take(r.Context(), request.Profiles())])
}

func (b *backend) take(ctx context.Context, p pprofile.Profiles) codes.Code {
	n := samplesIn(p)
	b.calls.Add(1)
	b.offered.Add(n)
	if b.seen != nil {
		b.seeing.Lock()
		b.seen(p)
		b.seeing.Unlock()
	}
	code := (*b.answer.Load())(ctx)
	if code == codes.OK {
		b.accepted.Add(n)
	}
	return code
}

// samplesIn counts samples as the receiver does: each has a timestamp.
func samplesIn(p pprofile.Profiles) (n int64) {
	for _, rp := range p.ResourceProfiles().All() {
		for _, sp := range rp.ScopeProfiles().All() {
			for _, profile := range sp.Profiles().All() {
				for _, s := range profile.Samples().All() {
					n += int64(s.TimestampsUnixNano().Len())
				}
			}
		}
	}
	return n
}
