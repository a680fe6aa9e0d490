// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e && linux

package e2e

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pprofile"
	"go.opentelemetry.io/collector/pdata/pprofile/pprofileotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/profile"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/test/otlpcheck"
)

const (
	manyProcesses = 10_000
	// firstPID is beyond the largest PID of any kernel.
	firstPID = 5_000_000
	// receiverLimit is what the otlp receiver takes over gRPC unless told otherwise.
	receiverLimit = 4 << 20
)

// unnamed resolves nothing: the names are not what fills a message here.
type unnamed struct{}

func (unnamed) Resolve(f profile.Frame) profile.Location {
	return profile.Location{Address: f.Offset, FrameType: "native", Mapping: profile.Mapping{Filename: "/usr/bin/one-of-many"}}
}

// manyBatches is a window in which that many processes had one sample each, with
// the attributes that the receiver gives them.
func manyBatches(t *testing.T) (out []pprofile.Profiles) {
	w := profile.NewWindow(0, event.KTime(5*time.Second))
	for i := range manyProcesses {
		pid := firstPID + i
		w.Add(&profile.Owner{PID: uint32(pid), Attributes: []profile.Attribute{
			profile.IntAttribute("process.pid", int64(pid)),
			profile.IntAttribute("process.parent_pid", 1),
			profile.StringAttribute("process.creation.time", time.Unix(int64(i), 123456789).UTC().Format(time.RFC3339Nano)),
			profile.StringAttribute("process.executable.name", "one-of-many"),
			profile.StringAttribute("process.executable.path", "/usr/bin/one-of-many"),
			profile.StringAttribute("container.id", strings.Repeat("0123456789abcdef", 4)),
		}}, profile.Labels{Thread: event.Comm([]byte("worker\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))}, event.KTime(i+1), []profile.Frame{{Offset: uint64(i + 1)}})
	}
	settings := profile.Settings{Period: time.Second / 19, MaxBatchBytes: 3 << 20, WallOffset: time.Now().UnixNano()}
	for b := range w.Batches(settings, unnamed{}) {
		require.NoError(t, otlpcheck.Check(b.Profiles))
		b.Profiles.MarkReadOnly()
		out = append(out, b.Profiles)
	}
	return out
}

// Ten thousand processes in one window arrive over both ways, in messages that
// receivers take by default.
func TestManyProcessesInOneWindow(t *testing.T) {
	grpcPort, httpPort := portVariable(t, "GRPC_PORT"), portVariable(t, "HTTP_PORT")
	c := start(t, "roundtrip.yaml", grpcPort, httpPort)
	batches := manyBatches(t)
	require.Greater(t, len(batches), 1)

	conn, err := grpc.NewClient("127.0.0.1:"+strings.TrimPrefix(grpcPort, "GRPC_PORT="),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer conn.Close()
	url := "http://127.0.0.1:" + strings.TrimPrefix(httpPort, "HTTP_PORT=") + "/v1development/profiles"
	for _, p := range batches {
		request := pprofileotlp.NewExportRequestFromProfiles(p)
		message, err := request.MarshalProto()
		require.NoError(t, err)
		require.Less(t, len(message), receiverLimit)
		_, err = pprofileotlp.NewGRPCClient(conn).Export(t.Context(), request)
		require.NoError(t, err)
		response, err := http.Post(url, "application/x-protobuf", bytes.NewReader(message))
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, response.StatusCode)
		require.NoError(t, response.Body.Close())
	}
	c.stop()
	for _, way := range []string{"grpc.otlp", "http.otlp"} {
		require.Equal(t, manyProcesses, pidsFrom(t, c.file(way)), way)
	}
}

// pidsFrom counts the distinct processes that were made up, each of which has one
// sample.
func pidsFrom(t *testing.T, file string) int {
	pids := map[int64]bool{}
	for _, s := range readSamples(t, file) {
		if s.pid >= firstPID {
			require.False(t, pids[s.pid], "process %d twice", s.pid)
			pids[s.pid] = true
		}
	}
	return len(pids)
}
