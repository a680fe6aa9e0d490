// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package convert

import (
	"strings"

	"go.opentelemetry.io/collector/pdata/pprofile"
)

// text is a string of the dictionary. Producers send bytes of files and of other
// processes, and not all of them are UTF-8.
func text(d pprofile.ProfilesDictionary, i int32) string {
	if i == 0 {
		return ""
	}
	return valid(d.StringTable().At(int(i)))
}

func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// maxText, in bytes, is more than people read.
const maxText = 1024

// Cut makes a long text valid and short, with an ellipsis at its end.
func Cut(s string) string {
	if len(s) <= maxText {
		return valid(s)
	}
	return strings.ToValidUTF8(s[:maxText], "") + "\u2026"
}
