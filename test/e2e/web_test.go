// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e && linux

package e2e

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fetch returns a page, which has to be there.
func fetch(t testing.TB, url string) []byte {
	t.Helper()
	response, err := http.Get(url)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode, "%s: %s", url, body)
	return body
}

// A browser sees the processes that are busy, and in which functions.
func TestWeb(t *testing.T) {
	burners := burnAll(t)
	port := portVariable(t, "WEB_PORT")
	c := start(t, "web.yaml", port)
	before := burners[0].runTime(t)
	site := "http://localhost:" + strings.TrimPrefix(port, "WEB_PORT=")
	require.Eventually(t, func() bool { return burners[0].runTime(t)-before > 2*time.Second }, 2*time.Minute, 100*time.Millisecond,
		"the workload does not get the CPU")
	time.Sleep(3 * time.Second) // until the windows have come

	page := string(fetch(t, site+"/?search="+strconv.Itoa(burners[0].pid)))
	require.Contains(t, page, fmt.Sprintf(`<td class="pid">%d</td>`, burners[0].pid))
	link := regexp.MustCompile(`href="(/profile/process=[0-9a-f]{16}/)flamegraph"`).FindStringSubmatch(page)
	require.NotNil(t, link, page)
	process := site + link[1]

	chain := cFunctions() // the innermost first
	for _, view := range []string{"flamegraph", "top", "peek"} {
		shown := string(fetch(t, process+view))
		for _, function := range chain {
			assert.Contains(t, shown, function, view)
		}
		assert.Contains(t, shown, fmt.Sprintf("chain (%d)", burners[0].pid), view)
		assert.NotContains(t, shown, "main.link7", "%s has functions of another process", view)
	}

	outermostFirst := slices.Clone(chain)
	slices.Reverse(outermostFirst)
	var seconds float64
	for _, line := range strings.Split(strings.TrimSpace(string(fetch(t, process+"folded.txt"))), "\n") {
		stack, value, found := strings.Cut(line, " ")
		require.True(t, found, line)
		require.True(t, strings.HasPrefix(stack, "chain;"), line)
		if strings.HasSuffix(stack, strings.Join(outermostFirst, ";")) {
			n, err := strconv.ParseFloat(value, 64)
			require.NoError(t, err, line)
			seconds += n / 1e9
		}
	}
	ran := (burners[0].runTime(t) - before).Seconds()
	t.Logf("%.2f s of CPU time in the innermost function, the process ran for %.2f s", seconds, ran)
	assert.Greater(t, seconds, 0.4, "it ran for two seconds before the page was made")
	assert.Less(t, seconds, ran+1, "it cannot have more than it ran, but for the second before it was read")

	zipped, err := gzip.NewReader(bytes.NewReader(fetch(t, process+"profile.pb.gz")))
	require.NoError(t, err)
	profile, err := io.ReadAll(zipped)
	require.NoError(t, err)
	for _, function := range chain {
		assert.Contains(t, string(profile), function)
	}

	all := string(fetch(t, site+"/profile/all/flamegraph"))
	assert.Contains(t, all, "chain_19", "a function of C")
	assert.Contains(t, all, "main.link7", "a function of Go")
	c.stop()
}
