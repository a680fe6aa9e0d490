// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package deploy

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// container is what Kubernetes and the Helm chart say of the collector's.
type container struct {
	SecurityContext struct {
		Privileged               bool
		AllowPrivilegeEscalation bool `yaml:"allowPrivilegeEscalation"`
		RunAsUser                *int `yaml:"runAsUser"`
		Capabilities             struct{ Drop, Add []string }
	} `yaml:"securityContext"`
	Resources    struct{ Limits map[string]string }
	VolumeMounts []mount `yaml:"volumeMounts"`
}

type mount struct {
	Name      string
	MountPath string `yaml:"mountPath"`
	ReadOnly  bool   `yaml:"readOnly"`
}

type volume struct {
	Name     string
	HostPath struct{ Path string } `yaml:"hostPath"`
}

// pod is what both say of the rest.
type pod struct {
	HostPID bool `yaml:"hostPID"`
	// config is the collector's.
	config struct {
		Receivers map[string]struct {
			RootPath string `yaml:"root_path"`
		}
	}
	volumes   []volume
	container container
}

// daemonSet reads deploy/kubernetes/daemonset.yaml.
func daemonSet(t *testing.T) (p pod) {
	t.Helper()
	text, err := os.ReadFile("kubernetes/daemonset.yaml")
	require.NoError(t, err)
	kinds := map[string]int{}
	for d := yaml.NewDecoder(strings.NewReader(string(text))); ; {
		var object struct {
			Kind string
			Data map[string]string
			Spec struct {
				Template struct {
					Spec struct {
						HostPID    bool `yaml:"hostPID"`
						Containers []container
						Volumes    []volume
					}
				}
			}
		}
		if d.Decode(&object) != nil {
			break
		}
		kinds[object.Kind]++
		switch object.Kind {
		case "ConfigMap":
			require.NoError(t, yaml.Unmarshal([]byte(object.Data["config.yaml"]), &p.config))
		case "DaemonSet":
			spec := object.Spec.Template.Spec
			require.Len(t, spec.Containers, 1)
			p.HostPID, p.container, p.volumes = spec.HostPID, spec.Containers[0], spec.Volumes
		}
	}
	require.Equal(t, map[string]int{
		"Namespace": 1, "ServiceAccount": 1, "ClusterRole": 1, "ClusterRoleBinding": 1, "ConfigMap": 1, "DaemonSet": 1,
	}, kinds)
	return p
}

// values reads deploy/kubernetes/values.yaml.
func values(t *testing.T) (p pod) {
	t.Helper()
	readYAML(t, "kubernetes/values.yaml", &p)
	var rest struct {
		ExtraVolumes      []volume `yaml:"extraVolumes"`
		ExtraVolumeMounts []mount  `yaml:"extraVolumeMounts"`
		AlternateConfig   struct {
			Receivers map[string]struct {
				RootPath string `yaml:"root_path"`
			}
		} `yaml:"alternateConfig"`
	}
	readYAML(t, "kubernetes/values.yaml", &rest)
	readYAML(t, "kubernetes/values.yaml", &p.container)
	p.config.Receivers = rest.AlternateConfig.Receivers
	p.volumes, p.container.VolumeMounts = rest.ExtraVolumes, rest.ExtraVolumeMounts
	return p
}

// unit returns the values of a key of the systemd unit.
func unit(t *testing.T, key string) []string {
	t.Helper()
	text, err := os.ReadFile("systemd/otelcol-ebpf-profiler.service")
	require.NoError(t, err)
	found := regexp.MustCompile(`(?m)^` + key + `=(.*)$`).FindSubmatch(text)
	require.NotNil(t, found, key)
	return strings.Fields(string(found[1]))
}

// What TestCapabilities of test/e2e proves of the unit's capabilities is true of all.
func TestTheSameCapabilitiesEverywhere(t *testing.T) {
	granted := unit(t, "AmbientCapabilities")
	assert.Equal(t, granted, unit(t, "CapabilityBoundingSet"))
	for i, c := range granted {
		granted[i] = strings.TrimPrefix(c, "CAP_")
	}
	require.Len(t, granted, 5)

	assert.Equal(t, granted, daemonSet(t).container.SecurityContext.Capabilities.Add)
	assert.Equal(t, granted, values(t).container.SecurityContext.Capabilities.Add)

	dockerfile, err := os.ReadFile("docker/Dockerfile")
	require.NoError(t, err)
	var docker []string
	for _, found := range regexp.MustCompile(`--cap-add=(\w+)`).FindAllSubmatch(dockerfile, -1) {
		docker = append(docker, string(found[1]))
	}
	assert.Equal(t, granted, docker)

	guide, err := os.ReadFile("../docs/operate.md")
	require.NoError(t, err)
	var told []string
	for _, found := range regexp.MustCompile("(?m)^\\| `([A-Z_]+)` \\|").FindAllSubmatch(guide, -1) {
		told = append(told, string(found[1]))
	}
	assert.Equal(t, granted, told)
}

func TestPodsSeeTheHostAndNoMore(t *testing.T) {
	for name, p := range map[string]pod{"DaemonSet": daemonSet(t), "chart": values(t)} {
		t.Run(name, func(t *testing.T) {
			assert.True(t, p.HostPID)
			security := p.container.SecurityContext
			assert.False(t, security.Privileged)
			assert.False(t, security.AllowPrivilegeEscalation)
			assert.Equal(t, []string{"ALL"}, security.Capabilities.Drop)
			require.NotNil(t, security.RunAsUser)
			assert.Zero(t, *security.RunAsUser, "capabilities are for root only")
			assert.Contains(t, p.container.Resources.Limits, "memory")

			at := slices.IndexFunc(p.volumes, func(v volume) bool { return v.HostPath.Path == "/" })
			require.GreaterOrEqual(t, at, 0)
			root := mount{Name: p.volumes[at].Name, MountPath: p.config.Receivers["ebpf_profiler"].RootPath, ReadOnly: true}
			assert.Contains(t, p.container.VolumeMounts, root, "root_path is where the host's root is mounted, and cannot be written")
		})
	}
}
