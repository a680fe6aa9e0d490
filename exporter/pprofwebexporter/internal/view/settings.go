// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"os"
	"runtime"
)

// nowhere is a file on every system that has no files below it.
const nowhere = os.DevNull

// settingsVariable is what os.UserConfigDir looks at first.
func settingsVariable() string {
	switch runtime.GOOS {
	case "windows":
		return "AppData"
	case "darwin", "ios":
		return "HOME"
	default:
		return "XDG_CONFIG_HOME"
	}
}

// noSettings hides the user's settings and binaries from the driver until the
// function it returns is called: the driver asks the environment for them, takes
// no other answer, and fails where there is none, as in a service without HOME.
func noSettings() (restore func()) {
	undo := []func(){replace(settingsVariable(), nowhere), replace("PPROF_BINARY_PATH", nowhere)}
	return func() {
		for _, f := range undo {
			f()
		}
	}
}

func replace(name, value string) (undo func()) {
	before, was := os.LookupEnv(name)
	_ = os.Setenv(name, value)
	return func() {
		if was {
			_ = os.Setenv(name, before)
		} else {
			_ = os.Unsetenv(name)
		}
	}
}
