// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"path"
	"strings"
	"time"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/process"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/profile"
)

// describe returns the attributes of a life's resource, with the names of the
// semantic conventions. Samples without identity share a resource without a PID.
func (p *Pipeline) describe(life *process.Life) []profile.Attribute {
	name := life.Comm.String()
	if life.Proc.PID == 0 {
		return nil
	}
	out := []profile.Attribute{
		profile.IntAttribute("process.pid", int64(life.Proc.PID)),
		profile.StringAttribute("process.creation.time",
			time.Unix(0, p.settings.BootTime+int64(life.Proc.Start)).UTC().Format(time.RFC3339Nano)),
	}
	parent, container := life.Parent.PID, p.groups.of(life.Cgroup)
	if executable := life.Executable(); executable != "" {
		name = path.Base(strings.TrimSuffix(executable, " (deleted)"))
		out = append(out, profile.StringAttribute("process.executable.path", executable))
	}
	if image := life.Image(); image != nil {
		if parent == 0 {
			parent = image.ParentPID
		}
		if container == "" {
			container = image.ContainerID
		}
		if len(image.CommandArgs) > 0 {
			out = append(out, profile.ListAttribute("process.command_args", image.CommandArgs))
		}
		for name, value := range image.Environment {
			out = append(out, profile.StringAttribute("process.environment_variable."+name, value))
		}
	}
	if container != "" {
		out = append(out, profile.StringAttribute("container.id", container))
	}
	if parent != 0 {
		out = append(out, profile.IntAttribute("process.parent_pid", int64(parent)))
	}
	if name != "" {
		out = append(out, profile.StringAttribute("process.executable.name", name))
	}
	return out
}
