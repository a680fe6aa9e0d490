// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOnlyATerminalIsServed(t *testing.T) {
	null, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer null.Close()
	require.False(t, terminal(null), "a device that nobody sees")
	stdin := os.Stdin
	os.Stdin = null
	defer func() { os.Stdin = stdin }()

	for _, test := range []struct{ asked, want time.Duration }{{0, 15 * time.Second}, {time.Minute, time.Minute}} {
		c := collector{duration: test.asked}
		require.NoError(t, c.plan(nil))
		require.Nil(t, c.served)
		require.Equal(t, test.want, c.duration)
		require.Equal(t, "localhost:0", c.web)
	}
}

func TestTheWebViewFindsAPort(t *testing.T) {
	if l, err := net.Listen("tcp", "localhost:6077"); err == nil {
		defer l.Close()
	}

	address, err := freeAddress()

	require.NoError(t, err)
	require.NotEqual(t, "localhost:6077", address)
	l, err := net.Listen("tcp", address)
	require.NoError(t, err)
	require.NoError(t, l.Close())
}
