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

const (
	containerID = "container.id"
	serviceName = "service.name"
)

// notes say what is known of lives.
type notes struct {
	groups   *containers
	contexts *contexts
	// bootTime is the Unix time in nanoseconds at BootTime 0.
	bootTime int64
	Placement
}

func (p *Pipeline) notes() notes {
	return notes{p.groups, p.contexts, p.settings.BootTime, p.settings.Placement}
}

// container is the one of a life's control group, else the one that /proc showed.
func (n notes) container(life *process.Life) string {
	if id := n.groups.of(life.Cgroup); id != "" {
		return id
	}
	if image := life.Image(); image != nil {
		return image.ContainerID
	}
	return ""
}

// attributes are those of a life, with the names of the semantic
// conventions. Samples without identity share a resource without a PID.
func (n notes) attributes(life *process.Life) []profile.Attribute {
	name := life.Comm.String()
	if life.Proc.PID == 0 {
		return nil
	}
	out := []profile.Attribute{
		profile.IntAttribute("process.pid", int64(life.Proc.PID)),
		profile.StringAttribute("process.creation.time",
			time.Unix(0, n.bootTime+int64(life.Proc.Start)).UTC().Format(time.RFC3339Nano)),
	}
	parent, says := life.Parent.PID, n.contexts.of(life)
	if executable := life.Executable(); executable != "" {
		name = path.Base(strings.TrimSuffix(executable, " (deleted)"))
		out = append(out, profile.StringAttribute("process.executable.path", executable))
	}
	if image := life.Image(); image != nil {
		says = says.Or(image.Service)
		if parent == 0 {
			parent = image.ParentPID
		}
		if len(image.CommandArgs) > 0 {
			out = append(out, profile.ListAttribute("process.command_args", image.CommandArgs))
		}
		for name, value := range image.Environment {
			out = append(out, profile.StringAttribute("process.environment_variable."+name, value))
		}
	}
	if id := n.container(life); id != "" {
		out = append(out, profile.StringAttribute(containerID, id))
	}
	if parent != 0 {
		out = append(out, profile.IntAttribute("process.parent_pid", int64(parent)))
	}
	for key, value := range says.All {
		out = append(out, profile.StringAttribute(key, value))
	}
	if name != "" {
		out = append(out, profile.StringAttribute("process.executable.name", name))
	}
	return out
}
