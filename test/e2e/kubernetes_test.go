// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e && linux

package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pprofile"
	"google.golang.org/grpc/codes"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
)

// containerID is that of the only container.
var containerID = strings.Repeat("c0ffee42", 8)

// moveToContainer puts a process into a control group as Kubernetes makes them, until the
// test ends.
func moveToContainer(t *testing.T, pid int) {
	t.Helper()
	// The pod's group, and the container's below it.
	pod := filepath.Join(controlGroups(t), "kubepods-e2e-pod0")
	container := filepath.Join(pod, "cri-containerd-"+containerID+".scope")
	require.NoError(t, os.MkdirAll(container, 0o755))
	t.Cleanup(func() {
		_ = syscall.Kill(pid, syscall.SIGKILL)
		for _, dir := range []string{container, pod} {
			// The kernel takes a moment to let go of an exited process.
			assert.Eventually(t, func() bool { return os.Remove(dir) == nil }, 5*time.Second, 20*time.Millisecond, dir)
		}
	})
	require.NoError(t, os.WriteFile(filepath.Join(container, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0))
}

// controlGroups is where a hierarchy is mounted that lets groups be made without more ado.
func controlGroups(t *testing.T) string {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mounts")
	require.NoError(t, err)
	for line := range strings.Lines(string(mounts)) {
		f := strings.Fields(line)
		if f[2] == "cgroup2" || f[2] == "cgroup" && !strings.Contains(f[3], "cpuset") {
			return f[1]
		}
	}
	require.FailNow(t, "no control groups are mounted")
	return ""
}

// apiServer knows one pod with the container, and nothing else that happens.
func apiServer(t *testing.T) (kubeconfig string) {
	t.Helper()
	pod := fmt.Sprintf(`{"kind": "Pod", "apiVersion": "v1",
  "metadata": {"name": "shop-0", "namespace": "sales", "uid": "11111111-2222-3333-4444-555555555555", "resourceVersion": "1"},
  "spec": {"nodeName": "node-1", "containers": [{"name": "web", "image": "registry.example/shop:1.2"}]},
  "status": {"phase": "Running", "podIP": "10.0.0.1", "containerStatuses": [
    {"name": "web", "image": "registry.example/shop:1.2", "restartCount": 0, "containerID": "containerd://%s"}]}}`, containerID)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/pods" {
			http.NotFound(w, r)
			return
		}
		query := r.URL.Query()
		assert.Equal(t, "spec.nodeName=node-1", query.Get("fieldSelector"), "only pods of the node are asked for")
		w.Header().Set("Content-Type", "application/json")
		if query.Get("watch") == "" {
			_, _ = fmt.Fprintf(w, `{"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": [%s]}`, pod)
			return
		}
		if query.Get("sendInitialEvents") == "true" {
			_, _ = fmt.Fprintf(w, `{"type": "ADDED", "object": %s}
{"type": "BOOKMARK", "object": {"kind": "Pod", "apiVersion": "v1", "metadata": {
  "resourceVersion": "1", "annotations": {"k8s.io/initial-events-end": "true"}}}}
`, pod)
		}
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(kubeconfig, fmt.Appendf(nil, `
apiVersion: v1
kind: Config
current-context: e2e
clusters: [{name: e2e, cluster: {server: %q}}]
contexts: [{name: e2e, context: {cluster: e2e, user: e2e}}]
users: [{name: e2e, user: {}}]
`, server.URL), 0o600))
	return kubeconfig
}

// The profiles of a container carry the names of its pod, and those of the host's other
// processes none.
func TestExampleOfKubernetes(t *testing.T) {
	roottest.Need(t)
	burners := burnAll(t)
	moveToContainer(t, burners[0].pid)
	resources := map[int64]pcommon.Map{}
	b := grpcBackend(t, always(codes.OK))
	b.seen = func(p pprofile.Profiles) {
		for _, rp := range p.ResourceProfiles().All() {
			is := pcommon.NewMap()
			rp.Resource().Attributes().CopyTo(is)
			resources[attribute(is, "process.pid").Int()] = is
		}
	}
	c := startCommand(t, []string{
		"GATEWAY=" + b.endpoint, "ROOT_PATH=/", "KUBE_AUTH=kubeConfig", "KUBECONFIG=" + apiServer(t), "K8S_NODE_NAME=node-1",
	}, contribBinary(t), "--config=../../examples/kubernetes.yaml", quiet, gate)
	time.Sleep(4 * time.Second)
	c.stop()

	require.Contains(t, resources, int64(burners[0].pid))
	for key, want := range map[string]string{
		"container.id":         containerID,
		"k8s.namespace.name":   "sales",
		"k8s.pod.name":         "shop-0",
		"k8s.pod.uid":          "11111111-2222-3333-4444-555555555555",
		"k8s.node.name":        "node-1",
		"k8s.container.name":   "web",
		"container.image.name": "registry.example/shop",
	} {
		assert.Equal(t, want, attribute(resources[int64(burners[0].pid)], key).Str(), key)
	}
	require.Contains(t, resources, int64(burners[1].pid))
	assert.Empty(t, attribute(resources[int64(burners[1].pid)], "k8s.pod.name").Str())
	assert.Empty(t, attribute(resources[int64(burners[1].pid)], "container.id").Str())
}
