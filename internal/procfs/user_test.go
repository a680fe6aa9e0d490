// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package procfs

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const passwd = `root:x:0:0:root:/root:/bin/bash
# a comment
+::::::
www-data:x:33:33::/var/www:/usr/sbin/nologin
short:x
large:x:4294967296:0::/:
wide:x:4294967294:0::/:`

func TestFindUser(t *testing.T) {
	for name, want := range map[string]uint32{"root": 0, "www-data": 33, "wide": 4294967294} {
		id, ok := findUser(strings.NewReader(passwd), name)
		require.True(t, ok, name)
		require.Equal(t, want, id, name)
	}
	for _, name := range []string{"", "www", "short", "large", "# a comment", "33"} {
		_, ok := findUser(strings.NewReader(passwd), name)
		require.False(t, ok, name)
	}
}

func TestUnifiedGroup(t *testing.T) {
	for text, want := range map[string]string{
		"0::/\n": "/",
		"12:cpu:/a\n1:name=systemd:/b\n0::/c:d/e\n": "/c:d/e",
		"12:cpu:/a\n": "",
		"":            "",
	} {
		require.Equal(t, want, unified([]byte(text)))
	}
}
